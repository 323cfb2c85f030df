return epoch()

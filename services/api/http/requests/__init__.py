"""Reads what a request says: its JSON body, query and headers, each as strictly as the others."""

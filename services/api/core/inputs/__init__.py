"""Files that clients hand in: checked, decoded and encoded again by us, kept under their owner for a while."""

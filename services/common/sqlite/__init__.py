"""What the embedded backends share: a file of SQLite used from one thread, its clock, and its write-ahead log."""

"""A file of SQLite used from one thread, its clock and its write-ahead log, which the embedded backends share."""

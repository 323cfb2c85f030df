"""Real servers as child processes of a test run or benchmark, each on free loopback ports with its own folder."""

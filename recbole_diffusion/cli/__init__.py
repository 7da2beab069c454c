"""The command line: one file a command, and what they read their arguments with."""

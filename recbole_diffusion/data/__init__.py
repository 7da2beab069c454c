"""Data sets, readers and loaders."""

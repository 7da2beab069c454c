"""Making data sets from their published files: download, read, filter, split, write."""

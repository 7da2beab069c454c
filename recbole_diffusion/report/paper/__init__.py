"""The figures of the papers, one file a paper."""

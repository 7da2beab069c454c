"""Models of the user-item graph."""

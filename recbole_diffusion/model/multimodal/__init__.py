"""Models of items with several modalities."""

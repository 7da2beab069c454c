"""Models of users' rows of interactions or ratings."""

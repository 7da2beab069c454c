"""Use of a trained model: ranked lists for known and new users, and its vectors for other systems."""

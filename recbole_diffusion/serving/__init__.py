"""What a trained model is used for: ranked lists for known and new users, and its vectors for other systems."""

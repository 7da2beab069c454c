"""What RecBole's evaluator lacks."""

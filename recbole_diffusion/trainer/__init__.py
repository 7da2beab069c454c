"""Trainers: run folder, safe checkpoints, exact resume."""

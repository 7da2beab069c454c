"""Negatives as functions of tensors. Imports torch only; randomness is an argument."""

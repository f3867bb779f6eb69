"""Triton, and the model in memory that stands in for it in tests."""

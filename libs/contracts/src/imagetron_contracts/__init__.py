"""Imagetron messages."""

"""Imagetron's deriver service: see README.md beside src/."""

"""Imagetron's gateway service: see README.md beside src/."""

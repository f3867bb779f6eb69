"""Imagetron's prompt service: see README.md beside src/."""

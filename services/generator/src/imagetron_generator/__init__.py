"""Imagetron's generator service: see README.md beside src/."""

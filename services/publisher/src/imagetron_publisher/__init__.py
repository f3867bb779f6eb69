"""Imagetron's publisher service: see README.md beside src/."""

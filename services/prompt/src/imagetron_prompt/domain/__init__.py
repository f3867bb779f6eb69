"""Prompts, subjects and paid calls: values and decisions, no I/O."""

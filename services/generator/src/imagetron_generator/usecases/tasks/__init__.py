"""Families whose provider answers later: ordering, looking after what is under way, collecting and telling."""

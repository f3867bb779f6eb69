"""Values and decisions: what a render is, whose turn it is, when progress is worth telling. No I/O, no clock."""

"""Jobs and the decisions about them: pure values and functions. No clock, no I/O, no chassis."""

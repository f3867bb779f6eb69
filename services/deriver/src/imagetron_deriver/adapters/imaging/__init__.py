"""Everything that touches pixels. Runs in a child process only; importing a module of it must stay quick."""

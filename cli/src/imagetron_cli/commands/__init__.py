"""One module per command. What several commands need lies one folder up."""

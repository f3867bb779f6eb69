"""What the generator can do: render a family, end a cancelled job's calls, report a model's health."""

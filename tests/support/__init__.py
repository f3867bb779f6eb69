"""What tests share: builders, neighbours that really run, and the one place that waits."""

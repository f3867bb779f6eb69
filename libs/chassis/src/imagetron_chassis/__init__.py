"""What every service stands on. Import the module you need; nothing is re-exported and nothing connects on import."""

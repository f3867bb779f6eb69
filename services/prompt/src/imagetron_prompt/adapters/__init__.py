"""Language models and stores, each in one module."""

"""Everything one machine needs to run the product: processes, a private broker, Triton, the services."""

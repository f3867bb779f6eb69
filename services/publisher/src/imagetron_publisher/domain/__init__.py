"""What is decided without a store: public keys, and whether bytes are what they are called."""

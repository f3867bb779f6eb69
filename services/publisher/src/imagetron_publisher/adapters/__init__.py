"""Where the publisher meets the world, one file for each technology."""

"""What pip sees: the simple index and the files behind it."""

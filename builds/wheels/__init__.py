"""What a wheel is, whom it serves and whether it may be offered, by its bytes, its name and its rows."""

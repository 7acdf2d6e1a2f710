"""Ways to run the farm: in miniature on one machine, and in production."""

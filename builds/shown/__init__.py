"""What people and programs are told of one build or wheel.  Nothing in here writes."""

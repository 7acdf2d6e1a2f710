"""Which builds there should be, why, and which of them matters most."""

"""The operators' own rooms: their first screen, who may do what, how they sign in, and what they did."""

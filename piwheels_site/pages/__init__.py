"""People's door: the pages that draw on every app."""

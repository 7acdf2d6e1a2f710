"""The builders: how they come and go, what they say of themselves, and when they are not believed."""

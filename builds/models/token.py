"""What is kept of the secrets that open the builders' door."""

import hashlib


def digest(secret: str) -> str:
    """Return what we keep of a token or ticket: its sha256, as 256 random bits need no salt."""
    return hashlib.sha256(secret.encode()).hexdigest()

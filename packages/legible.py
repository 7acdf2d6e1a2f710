"""Foreign text as no terminal takes for an order, and as a database and XML can hold it (no Django)."""


def legible(text: str) -> str:
    """Return a text on one line, with a sign in the place of each character that cannot be seen."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)

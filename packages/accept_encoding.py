"""Whether a client takes what is packed, by its Accept-Encoding (no Django)."""

import re
from functools import lru_cache

# All clients together send some dozens; of a longer one the rest counts for nothing.
_READ = 300
_WORD = re.compile(r"\s*(gzip|x-gzip|\*)\s*(?:;\s*q=([0-9.]{1,8})\s*)?", re.IGNORECASE)


def accepts_gzip(accept_encoding: str) -> bool:
    """Tell whether gzip may be sent (RFC 9110, 12.5.3); its own name counts more than the asterisk."""
    # Cut before it is kept: strangers write it.
    return _accepts_gzip(accept_encoding[:_READ])


@lru_cache(maxsize=512)
def _accepts_gzip(accept_encoding: str) -> bool:
    found = [_WORD.fullmatch(word) for word in accept_encoding.split(",")]
    weights = {word[1].lower(): word[2] or "1" for word in found if word}
    weight = next((weights[name] for name in ("gzip", "x-gzip", "*") if name in weights), "0")
    return weight.strip("0.") != ""

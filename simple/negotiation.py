"""Which format of a page a client gets, by its headers."""

from functools import lru_cache

from django.http import HttpRequest

from simple.formats import OFFERED, Format

# All clients together send some dozens; a longer one is nobody's and is not worth keeping.
_KEPT = 300


def liked(accept: str) -> Format | None:
    """Return the format that a client likes best (PEP 691); None if it likes none of ours."""
    return _known(accept) if len(accept) <= _KEPT else _preferred(accept)


def _preferred(accept: str) -> Format | None:
    """Return the format that an Accept header prefers, as Django reads it."""
    if not accept:
        return Format.HTML
    request = HttpRequest()
    request.META["HTTP_ACCEPT"] = accept
    try:
        preferred = request.get_preferred_type(list(OFFERED))
    except (TypeError, ValueError):  # RFC 2231 parameters that are broken, which the email package trips over
        return None
    return OFFERED[preferred] if preferred else None


_known = lru_cache(maxsize=512)(_preferred)


def content_type(format: Format) -> str:
    """Return the Content-Type of a page."""
    return str(format) if format is Format.JSON else f"{format}; charset=utf-8"

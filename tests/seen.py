"""What a person sees of a page, for tests that compare it with words."""

from html import unescape

from django.utils.html import strip_tags


def text(response):
    """Return what a reader sees of a page, on one line."""
    return " ".join(unescape(strip_tags(response.content.decode())).split())


def markup(response):
    """Return a page's HTML, on one line."""
    return " ".join(response.content.decode().split())

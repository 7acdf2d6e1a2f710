"""The parts that the README's pictures are drawn of."""

from collections.abc import Iterable
from html import escape


def picture(width: int, height: int, parts: Iterable[str]) -> str:
    """Return a picture of that size, in pixels, on white."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
    body = "\n".join(parts)
    return f'{head} font-size="12">\n<rect width="{width}" height="{height}" fill="white"/>\n{body}\n</svg>\n'


def line(x: float, y: float, to_x: float, to_y: float, colour: str, more: str = "") -> str:
    """Return a line, with further attributes."""
    return f'<line x1="{x}" y1="{y}" x2="{to_x}" y2="{to_y}" stroke="{colour}"{more}/>'


def bar(x: float, y: float, width: float, height: float, colour: str) -> str:
    """Return a filled rectangle."""
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{colour}"/>'


def polyline(places: Iterable[tuple[float, float]], colour: str, width: float = 2) -> str:
    """Return a line through places."""
    points = " ".join(f"{x},{y}" for x, y in places)
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width:g}"/>'


def text(x: float, y: float, words: str, anchor: str, colour: str = "#333") -> str:
    """Return words that begin, end or have their middle at a place."""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'

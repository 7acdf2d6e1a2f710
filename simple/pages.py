"""From what an index says to the bytes of its pages: HTML (PEP 503) by the templates, JSON (PEP 691)."""

import json
from collections.abc import Iterable, Iterator

from django.template.loader import render_to_string
from django.utils.html import format_html

from simple.formats import API_VERSION, Format, ListedProject, ProjectDetail

# Both kinds of HTML are the same text.
KINDS = (Format.HTML, Format.JSON)

# Stands in the template where the rows go, of which there may be a million.
_ROWS = "<!-- rows -->"


def project(detail: ProjectDetail, kind: Format) -> bytes:
    """Return the page of a project."""
    if kind is Format.JSON:
        return detail.to_json().encode()
    return render_to_string("simple/project.html", {"page": detail, "api_version": API_VERSION}).encode()


def root(projects: Iterable[ListedProject], kind: Format) -> Iterator[bytes]:
    """Return the list of all projects in pieces, so that nobody has to hold the whole of it."""
    opening, between, closing = frame(kind)
    yield opening
    for number, listed in enumerate(projects):
        yield between * bool(number) + row(listed, kind)
    yield closing


def frame(kind: Format) -> tuple[bytes, bytes, bytes]:
    """Return what is before, between and after the rows of the list of all projects."""
    if kind is Format.JSON:
        meta = json.dumps({"api-version": API_VERSION}, separators=(",", ":"))
        return f'{{"meta":{meta},"projects":['.encode(), b",", b"]}"
    page = render_to_string("simple/root.html", {"api_version": API_VERSION})
    opening, closing = page.split(_ROWS)
    return opening.encode(), b"", closing.encode()


def row(listed: ListedProject, kind: Format) -> bytes:
    """Return a project's line in the list of all projects."""
    if kind is Format.JSON:
        return json.dumps({"name": listed.display_name}, separators=(",", ":")).encode()
    return format_html('\n    <a href="{}/">{}</a><br>', listed.name, listed.display_name).encode()

"""What the JSON of a package has, with an example that a test compares with what we answer."""

from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

EXAMPLE = Path(__file__).parent.parent / "project_example.json"


@require_safe
def json_help(request: HttpRequest) -> HttpResponse:
    """Show what the JSON has."""
    context = {"example": EXAMPLE.read_text(), "site": request.build_absolute_uri("/")}
    return render(request, "pages/json.html", context)

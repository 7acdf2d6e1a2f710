"""What search engines may read, and where all pages are: in parts, as one may not have a million."""

from collections.abc import Iterator

from django.db.models import Max
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.loader import render_to_string
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from packages.models import Package

# The most addresses that one sitemap may have (sitemaps.org); a part is so many keys, there or gone.
A_PART = 50_000
PAGES = (
    *("", "packages.html", "faq.html", "json.html", "stats.html", "check/", "bundle/", "farm/", "queue/"),
    "failures/",
)
XML = "application/xml; charset=utf-8"
_OPENING = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
)


@require_safe
@cache_control(public=True, max_age=3600)
def robots(request: HttpRequest) -> HttpResponse:
    """Answer what robots may read: all that says something by itself."""
    context = {"sitemap": request.build_absolute_uri("/sitemap.xml")}
    return HttpResponse(
        render_to_string("pages/robots.txt", context), content_type="text/plain; charset=utf-8"
    )


@require_safe
@cache_control(public=True, max_age=3600)
def sitemap_index(request: HttpRequest) -> HttpResponse:
    """Answer where the parts are: the site's own pages, and those of packages."""
    context = {"site": request.build_absolute_uri("/"), "parts": range(_parts() + 1)}
    return HttpResponse(render_to_string("pages/sitemap.xml", context), content_type=XML)


@require_safe
@cache_control(public=True, max_age=3600)
def sitemap_part(request: HttpRequest, number: int) -> StreamingHttpResponse:
    """Answer with one part, as it is read."""
    if number > _parts():
        raise Http404("There are not so many parts.")
    site = request.build_absolute_uri("/")
    addresses = (
        _packages(site, number) if number else (f"<url><loc>{site}{page}</loc></url>\n" for page in PAGES)
    )
    return StreamingHttpResponse(_framed(addresses), content_type=XML)


def _parts() -> int:
    """Return how many parts there are of packages."""
    last: int | None = Package.objects.aggregate(last=Max("pk"))["last"]
    return -(-(last or 0) // A_PART)


def _packages(site: str, number: int) -> Iterator[str]:
    """Return the pages of some packages; a canonical name needs no escapes."""
    some = Package.objects.filter(pk__gt=(number - 1) * A_PART, pk__lte=number * A_PART).order_by("pk")
    for name, changed_at in some.values_list("name", "changed_at").iterator(chunk_size=2000):
        yield f"<url><loc>{site}project/{name}/</loc><lastmod>{changed_at:%Y-%m-%d}</lastmod></url>\n"


def _framed(addresses: Iterator[str]) -> Iterator[str]:
    yield _OPENING
    yield from addresses
    yield "</urlset>\n"

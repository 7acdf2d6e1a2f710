"""Makes pages from rows, for as long as the published tree does not have them."""

from django.conf import settings
from django.db.models import Count, Max, Sum
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import condition

from packages.models import NEVER, Package
from simple import indexes, misses, pages
from simple.formats import LAYOUT, Format
from simple.index import details, holdings, may_be_confined, project_list
from simple.indexes import ALL, FULL, OWN, Indexes
from simple.negotiation import content_type


def page(request: HttpRequest, index: str, name: str, format: Format) -> HttpResponseBase:
    """Return a page that the tree does not have; Http404 if there is none."""
    there_are = _those_asked_for(index)
    if index not in there_are.names:
        raise Http404
    if not name:
        return _root(request, index, format)
    package = Package.objects.filter(name=name).first()
    if package is None:
        return elsewhere(index, name)
    return _project(request, index, format, package, there_are)


def _those_asked_for(index: str) -> Indexes:
    """Return an index that may be asked for, with no look at targets for one that does not depend on them."""
    if index in OWN:
        return Indexes(releases={}, has_full=settings.PIWHEELS_FULL_INDEX)
    return indexes.current([index])


def elsewhere(index: str, name: str) -> HttpResponseBase:
    """Send whoever wants all files to upstream, where we have nothing to add."""
    if index != FULL:
        raise Http404
    return HttpResponseRedirect(f"{settings.PIWHEELS_PYPI}{name}/", headers={"Cache-Control": "no-store"})


def _root_etag(request: HttpRequest, index: str, format: Format) -> str:
    """Return a validator that changes when any package does."""
    now = Package.objects.aggregate(rows=Count("pk"), revisions=Sum("revision"), changed_at=Max("changed_at"))
    changed_at = now["changed_at"] or NEVER
    return f'"{now["rows"]}-{now["revisions"]}-{changed_at:%Y%m%d%H%M%S%f}-{format.name}-{LAYOUT}"'


@condition(etag_func=_root_etag)
def _root(request: HttpRequest, index: str, format: Format) -> HttpResponse:
    """Return the list of all projects; those of parts of the index come with the tree alone."""
    if index != ALL:
        raise Http404
    return HttpResponse(b"".join(pages.root(project_list(), format)), content_type=content_type(format))


def _project_etag(
    request: HttpRequest, index: str, format: Format, package: Package, there_are: Indexes
) -> str:
    """Return a validator that changes when the package does."""
    return f'"{package.pk}-{package.revision}-{package.changed_at:%Y%m%d%H%M%S%f}-{format.name}-{LAYOUT}"'


@condition(etag_func=_project_etag)
def _project(
    request: HttpRequest, index: str, format: Format, package: Package, there_are: Indexes
) -> HttpResponseBase:
    """Return the page of one project, if it has one in this index."""
    [held] = holdings([package], with_upstream=index == FULL)
    if index in OWN and may_be_confined(held.wheels):
        # What a rebuild runs on decides whether it is listed for all.
        there_are = indexes.current()
    found = details(held, there_are)
    if detail := found.get(index):
        return HttpResponse(pages.project(detail, format), content_type=content_type(format))
    # What a part of the index lacks, the whole of it may have.
    if ALL not in found:
        misses.of_this_process.count(package, timezone.now().date())
    return elsewhere(index, package.name)

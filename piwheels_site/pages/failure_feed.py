"""The feeds of builds that failed, and of new releases that did, for whoever reads them with a program."""

from datetime import datetime, timedelta

from django.contrib.syndication.views import Feed
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.feedgenerator import Atom1Feed
from django.utils.html import escape
from django.views.decorators.http import condition, require_safe

from builds import breakages, failing, failures
from builds.log_text import clean
from builds.models import Breakage, Build

NEWEST = 50
# What failed before that is no news.
SINCE = timedelta(days=30)


class FailureFeed(Feed):  # type: ignore[type-arg]
    """The newest builds that failed."""

    feed_type = Atom1Feed
    title = "Builds that failed"
    subtitle = "The newest of this farm, with what each failed of."
    link = "/failures/"

    def items(self) -> list[Build]:
        """Return the newest."""
        return failing.newest(timezone.now() - SINCE, NEWEST)

    def item_title(self, item: Build) -> str:
        """Return what failed and how."""
        return _title(item)

    def item_description(self, item: Build) -> str:
        """Return what is known of it; Atom's readers take it for HTML."""
        return escape(_said(item))

    def item_updateddate(self, item: Build) -> datetime | None:
        """Return when it ended."""
        return item.finished_at

    def item_guid(self, item: Build) -> str:
        """Return what stays the same wherever this farm is."""
        return f"tag:piwheels,2026:build:{item.pk}"


class BreakageFeed(Feed):  # type: ignore[type-arg]
    """The new releases that fail of packages that were built before."""

    feed_type = Atom1Feed
    title = "New releases that fail"
    subtitle = "Earlier versions of these packages were built by this farm for the same target."
    link = "/failures/"
    # The address alone would make it the feed of all failures.
    feed_guid = "tag:piwheels,2026:breakages"

    def items(self) -> list[Breakage]:
        """Return the last ones that nothing has mended."""
        return list(breakages.standing(timezone.now())[:NEWEST])

    def item_title(self, item: Breakage) -> str:
        """Return what failed and how."""
        return _title(item.build)

    def item_description(self, item: Breakage) -> str:
        """Return what was built, and what is known of the failure; Atom's readers take it for HTML."""
        return escape(clean(f"{item.good.number} was built. {_said(item.build)}"))

    def item_link(self, item: Breakage) -> str:
        """Return the page of the build."""
        return item.build.get_absolute_url()

    def item_updateddate(self, item: Breakage) -> datetime | None:
        """Return when it ended."""
        return item.build.finished_at

    def item_guid(self, item: Breakage) -> str:
        """Return what stays the same wherever this farm is, and is no other feed's."""
        return f"tag:piwheels,2026:breakage:{item.build_id}"


def _title(build: Build) -> str:
    """Return what failed and how, without what no XML may have."""
    found = failures.of(build.failure, build.failure_about)
    how = found.failure.title if found else "Failed"
    return clean(f"{build.version.package.name} {build.version.number} for {build.target.key}: {how}")


def _said(build: Build) -> str:
    """Return what is known of a failure, and what may help."""
    found = failures.of(build.failure, build.failure_about)
    said = [found.sentence, found.suggestion(build.target.os_release)] if found else []
    return clean(" ".join(filter(None, [*said, build.reason])))


def _etag(request: HttpRequest) -> str:
    """Return what changes with the newest failure and with the address that links begin with."""
    last = failing.newest(timezone.now() - SINCE, 1)
    return f'"{request.scheme}-{request.get_host()}-{last[0].pk if last else 0}"'


@require_safe
@condition(etag_func=_etag)
def failure_feed(request: HttpRequest) -> HttpResponse:
    """Give the feed, if it has changed."""
    return FailureFeed()(request)

"""The feeds of builds that failed, and of new releases that did, for whoever reads them with a program."""

from datetime import datetime, timedelta

from django.contrib.syndication.views import Feed
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.feedgenerator import Atom1Feed
from django.utils.html import escape
from django.views.decorators.http import condition, require_safe

from builds import failures
from builds.figures import breakages, failing
from builds.log_text import clean
from builds.models import Build
from piwheels_site.templatetags.said import failure_title

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
        """Return what failed and how, without what no XML may have."""
        how = failure_title(item.failure)
        return clean(f"{item.version.package.name} {item.version.number} for {item.target.key}: {how}")

    def item_description(self, item: Build) -> str:
        """Return what is known of it; Atom's readers take it for HTML."""
        found = failures.of(item.failure, item.failure_about)
        said = [found.sentence, found.suggestion(item.target.os_release)] if found else []
        return escape(clean(" ".join(filter(None, [*said, item.reason]))))

    def item_updateddate(self, item: Build) -> datetime | None:
        """Return when it ended."""
        return item.finished_at

    def item_guid(self, item: Build) -> str:
        """Return what stays the same wherever this farm is."""
        return f"tag:piwheels,2026:build:{item.pk}"


class BreakageFeed(FailureFeed):
    """The new releases that fail of packages that were built before."""

    title = "New releases that fail"
    subtitle = "Earlier versions of these packages were built by this farm for the same target."
    # The address alone would make it the feed of all failures.
    feed_guid = "tag:piwheels,2026:breakages"

    def items(self) -> list[Build]:
        """Return the last ones that nothing has mended."""
        return list(breakages.standing(timezone.now())[:NEWEST])

    def item_description(self, item: Build) -> str:
        """Return what was built, and what is known of the failure; Atom's readers take it for HTML."""
        built = escape(clean(item.breakage.good.number))
        return f"{built} was built. {super().item_description(item)}"

    def item_guid(self, item: Build) -> str:
        """Return what stays the same wherever this farm is, and is no other feed's."""
        return f"tag:piwheels,2026:breakage:{item.pk}"


def _etag(request: HttpRequest) -> str:
    """Return what changes with the newest failure and with the address that links begin with."""
    last = failing.newest(timezone.now() - SINCE, 1)
    return f'"{request.scheme}-{request.get_host()}-{last[0].pk if last else 0}"'


@require_safe
@condition(etag_func=_etag)
def failure_feed(request: HttpRequest) -> HttpResponse:
    """Give the feed, if it has changed."""
    return FailureFeed()(request)

"""Atom feeds: all new wheels, and what became of the builds of one package."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.syndication.views import Feed
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils.feedgenerator import Atom1Feed
from django.utils.html import escape

from builds import failures
from builds.models import Build, Wheel
from packages.legible import legible
from packages.models import Package
from piwheels_site.naming import canonical_or_404
from piwheels_site.templatetags.said import state_word
from simple import index

ENTRIES = 50


class NewWheels(Feed):  # type: ignore[type-arg] # Django's own class takes no argument
    """The wheels that came last."""

    feed_type = Atom1Feed
    title = "New wheels for the Raspberry Pi"
    link = "/"
    description = subtitle = "What this farm has built last."

    def items(self) -> Iterable[Wheel]:
        """Return the wheels."""
        found = index.offered().select_related("package", "version", "build__target")
        return found.order_by("-pk")[:ENTRIES]

    def item_title(self, item: Any) -> str:  # Any: Django's type has the model here or the title
        """Name a wheel."""
        return legible(f"{item.package.display_name} {item.version.number} for {item.build.target}")

    def item_description(self, item: Any) -> str:  # Any: as above
        """Say what it is; Atom's readers take it for HTML."""
        return escape(legible(f"{item.filename}. {item.package.summary}"))

    def item_link(self, item: Wheel) -> str:
        """Return the page of its package."""
        return item.package.get_absolute_url()

    def item_guid(self, item: Wheel) -> str:
        """Return what names it for ever."""
        return f"sha256:{item.sha256}"

    item_guid_is_permalink = False

    def item_updateddate(self, item: Wheel) -> datetime:
        """Return since when it is here."""
        return item.published_at


class ProjectBuilds(Feed):  # type: ignore[type-arg] # as above
    """The builds of one package that ended last."""

    feed_type = Atom1Feed

    def get_object(self, request: HttpRequest, name: str) -> Package:
        """Return the package."""
        return get_object_or_404(Package, name=canonical_or_404(name))

    def title(self, obj: Package) -> str:
        """Name the feed."""
        return legible(f"Builds of {obj.display_name} for the Raspberry Pi")

    def link(self, obj: Package) -> str:
        """Return the package's page."""
        return obj.get_absolute_url()

    def subtitle(self, obj: Package) -> str:
        """Say what the package is."""
        return legible(obj.summary)

    def items(self, obj: Package) -> Iterable[Build]:
        """Return the builds."""
        ended = Build.objects.filter(version__package=obj, finished_at__isnull=False, state__in=Build.ENDED)
        return ended.select_related("version__package", "target").order_by("-finished_at", "-pk")[:ENTRIES]

    def item_title(self, item: Any) -> str:  # Any: Django's type has the model here or the title
        """Name a build, and what became of it."""
        return legible(f"{item.version.number} for {item.target}: {state_word(item.state)}")

    def item_description(self, item: Any) -> str:  # Any: as above
        """Say of what it failed, if it did; as HTML, too."""
        found = failures.of(item.failure, item.failure_about)
        return escape(legible(found.sentence if found else item.reason))

    def item_updateddate(self, item: Build) -> datetime | None:
        """Return when it ended."""
        return item.finished_at

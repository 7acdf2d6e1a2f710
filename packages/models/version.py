"""Versions of packages, and the files that upstream offers of them."""

from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, Self

from django.db import models, transaction
from django.db.models import Q
from packaging.version import InvalidVersion
from packaging.version import Version as ParsedVersion

from packages.models.package import Package
from packages.ordering import order

MAX_CANONICAL = 200


class Placed(NamedTuple):
    """What decides which of a package's thousands of versions are looked at."""

    pk: int
    number: str
    canonical: str
    is_prerelease: bool
    yanked: bool
    gone_at: datetime | None

    @property
    def is_offered(self) -> bool:
        """Whether an installer may choose it."""
        return bool(self.canonical) and not self.yanked and self.gone_at is None


class VersionQuerySet(models.QuerySet["Version"]):
    """Questions about versions."""

    def listed(self) -> Self:
        """Versions that upstream still has."""
        return self.filter(gone_at=None)

    def newest_first(self) -> list[Placed]:
        """Return all of these by PEP 440, the legacy ones last; of a package that may be thousands."""
        found = [Placed(*row) for row in self.order_by().values_list(*Placed._fields)]
        return sorted(found, key=lambda placed: (order(placed.canonical), placed.number), reverse=True)


class Version(models.Model):
    """One version of a package.

    `1.0` and `1.0.0` are two rows: upstream can have both.
    """

    # The unique pair of it and the number leads to it as well.
    package = models.ForeignKey(Package, models.CASCADE, related_name="versions", db_index=False)
    number = models.CharField(max_length=200, help_text="The string that upstream uses.")
    canonical = models.CharField(
        max_length=MAX_CANONICAL,
        blank=True,
        help_text="Its PEP 440 form; empty for a legacy version, never built.",
    )
    is_prerelease = models.BooleanField(default=False)
    released_at = models.DateTimeField(null=True, blank=True, help_text="When its first file came.")
    yanked = models.BooleanField(default=False)
    yanked_reason = models.TextField(blank=True)
    skip_reason = models.CharField(
        max_length=200, blank=True, help_text="Why an operator wants no builds; empty to build."
    )
    requested_at = models.DateTimeField(
        null=True, blank=True, help_text="When somebody asked for this version; it is then built first."
    )
    gone_at = models.DateTimeField(null=True, blank=True, help_text="When upstream was seen without it.")

    objects = VersionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["package", "number"], name="packages_version_number_unique")
        ]
        indexes = [
            # What operators decided is a few of millions.
            models.Index(fields=["id"], condition=~Q(skip_reason=""), name="packages_version_skipped"),
            models.Index(
                fields=["id"], condition=Q(requested_at__isnull=False), name="packages_version_asked_for"
            ),
            # So is what upstream took back, which the admin filters for.
            models.Index(fields=["id"], condition=Q(yanked=True), name="packages_version_yanked"),
            models.Index(fields=["id"], condition=Q(gone_at__isnull=False), name="packages_version_gone"),
        ]

    def __str__(self) -> str:
        return f"{self.package} {self.number}"

    @property
    def is_buildable(self) -> bool:
        """Whether it may be built as far as it itself says; a source is another matter."""
        return bool(self.canonical) and self.gone_at is None and not self.yanked and not self.skip_reason

    @property
    def sort_key(self) -> tuple[bool, ParsedVersion, str]:
        """A key that orders versions by PEP 440, with the legacy ones below all others."""
        parsed = ParsedVersion(self.canonical) if self.canonical else ParsedVersion("0")
        return bool(self.canonical), parsed, self.number

    @transaction.atomic
    def request(self, now: datetime) -> None:
        """Ask for this version to be built before all that nobody asked for."""
        # As all do, the package first.
        self.package.hold()
        self.requested_at = now
        self.save(update_fields=["requested_at"])
        self.package.request_plan()

    def skip(self, reason: str) -> None:
        """Build this version no more."""
        self._set_skip(reason)

    def unskip(self) -> None:
        """Build this version again."""
        self._set_skip("")

    @transaction.atomic
    def _set_skip(self, reason: str) -> None:
        self.package.hold()
        self.skip_reason = reason
        self.save(update_fields=["skip_reason"])
        self.package.request_plan()
        self.package.mark_changed()


# The same few thousand numbers are those of most versions.
@lru_cache(maxsize=16_384)
def canonical_version(number: str) -> tuple[str, bool]:
    """Return a version's PEP 440 form and whether it is a pre-release; ("", False) for a legacy one."""
    try:
        parsed = ParsedVersion(number)
    except InvalidVersion:
        return "", False
    # Of two hundred characters it may have some more, as "-1" is ".post1".
    form = str(parsed)
    return (form, parsed.is_prerelease) if len(form) <= MAX_CANONICAL else ("", False)


class UpstreamFileQuerySet(models.QuerySet["UpstreamFile"]):
    """Questions about upstream's files."""

    def listed(self) -> Self:
        """Files that upstream still has."""
        return self.filter(gone_at=None)

    def sources(self) -> Self:
        """Files that a wheel can be built from."""
        return self.filter(kind=UpstreamFile.Kind.SOURCE)


class UpstreamFile(models.Model):
    """A file that upstream offers: a source that we may build, or a wheel that it built itself."""

    class Kind(models.TextChoices):
        """What can be done with a file."""

        SOURCE = "source"
        WHEEL = "wheel"

    version = models.ForeignKey(Version, models.CASCADE, related_name="files")
    # Upstream never gives a name to other bytes, not even after a removal; so neither do we accept it.
    filename = models.CharField(max_length=255, unique=True)
    kind = models.CharField(max_length=6, choices=Kind)
    url = models.URLField(max_length=1000)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField(null=True, blank=True, help_text="Bytes.")
    requires_python = models.CharField(max_length=255, blank=True)
    metadata_sha256 = models.CharField(
        max_length=64,
        default="",
        db_default="",
        blank=True,
        help_text="Of a wheel's METADATA, where upstream serves it beside the file.",
    )
    uploaded_at = models.DateTimeField(null=True, blank=True)
    yanked = models.BooleanField(default=False)
    yanked_reason = models.TextField(blank=True)
    gone_at = models.DateTimeField(null=True, blank=True, help_text="When upstream was seen without it.")

    objects = UpstreamFileQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(sha256__regex=r"^[0-9a-f]{64}\Z"), name="packages_file_sha256_hex"
            )
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(yanked=True), name="packages_file_yanked"),
            models.Index(fields=["id"], condition=Q(gone_at__isnull=False), name="packages_file_gone"),
        ]

    def __str__(self) -> str:
        return self.filename

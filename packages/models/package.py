"""Packages and the spellings of their names."""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Self

from django.db import models, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Least, Now

from packages import plain_sql
from packages.batches import batches
from packages.models.dirty import Dirty

# PEP 503: the form that the index uses in its URLs.
CANONICAL = r"^[a-z0-9]+(-[a-z0-9]+)*\Z"


# A time that compares as older than all others, where NULL would sort differently on each database.
NEVER = datetime(1970, 1, 1, tzinfo=UTC)

# A plan that failed counts as asked for so long before: behind all others, also behind those that a target
# asks for.  It is made again after a while, as a later release may be able to.
AGO = timedelta(days=36525)
PLAN_AGAIN = timedelta(hours=1)


class PackageQuerySet(models.QuerySet["Package"]):
    """Questions about packages."""

    def to_plan(self, now: datetime) -> Self:
        """Packages of which something changed that decides what to build, what changed last first.

        A new target changes something for all of them, which takes hours to plan: no release waits for that.
        Those whose plan has just failed are left out.
        """
        failed = Q(plan_asked_at__gte=now - AGO - PLAN_AGAIN, plan_asked_at__lt=NEVER)
        return self.filter(~failed, plan_needed=True).order_by("-plan_asked_at")

    def to_refresh(self, before: datetime) -> Self:
        """Packages that nobody has looked up upstream since then, the longest neglected first."""
        return self.filter(fetched_at__lt=before).order_by("fetched_at")

    def unmarked(self) -> Self:
        """Packages that are not marked to be looked up.

        With NOT IN, PostgreSQL would go through all marks anew for each package once there are more of them
        than it hashes in memory, as in a first look at all of upstream.
        """
        return self.filter(~Exists(Dirty.objects.filter(pk=OuterRef("name"))))

    def to_show(self) -> Self:
        """Packages whose pages in the index are old; those that changed before those to be written anew."""
        return self.exclude(shown_revision=F("revision")).order_by("-shown_revision")

    def hold(self, packages: Iterable[int]) -> None:
        """Keep others from changing these rows until the transaction ends, in the order that all keep."""
        list(self.select_for_update(no_key=True).filter(pk__in=packages).order_by("pk").values_list("pk"))

    def note_shown(self, shown: Mapping[int, tuple[int, int]]) -> None:
        """Note which revisions of packages the index shows by now, each after its `shown_revision` as read.

        What was to be written anew since then has another one, and is written once more.
        """
        for revision, before in sorted(set(shown.values())):
            for batch in batches(
                package for package, noted in sorted(shown.items()) if noted == (revision, before)
            ):
                self.filter(pk__in=batch, shown_revision=before).update(shown_revision=revision)

    def show_anew(self, packages: Collection[int]) -> None:
        """Have the index's pages of packages written anew, no more of them than one statement takes.

        Each time with another number, below those of all revisions.
        """
        self.filter(pk__in=packages).update(shown_revision=Least(F("shown_revision"), 0) - 1)


class Package(models.Model):
    """A project on PyPI that this farm follows."""

    class Status(models.TextChoices):
        """What upstream says of the project (PEP 792), and that it is gone."""

        ACTIVE = "active"
        ARCHIVED = "archived"
        DEPRECATED = "deprecated"
        QUARANTINED = "quarantined"
        GONE = "gone"

    # What upstream took away, or put into quarantine, we do not hand out either: it may be malware.
    HIDDEN = (Status.QUARANTINED, Status.GONE)

    name = models.CharField(max_length=200, unique=True, help_text="The canonical name (PEP 503).")
    display_name = models.CharField(max_length=200, help_text="The spelling that upstream uses.")
    summary = models.CharField(max_length=300, blank=True)
    status = models.CharField(max_length=12, choices=Status, default=Status.ACTIVE)
    status_reason = models.CharField(max_length=500, blank=True)
    skip_reason = models.CharField(
        max_length=200, blank=True, help_text="Why an operator wants no builds; empty to build."
    )
    depth = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="How many of the newest versions to build: 0 is none but those asked for, "
        "empty is what the farm's setting says.",
    )
    serial = models.BigIntegerField(null=True, blank=True, help_text="Upstream's serial, as last seen.")
    etag = models.CharField(
        max_length=200, default="", db_default="", blank=True, help_text="Upstream's mark of that state."
    )
    emptied_at = models.DateTimeField(
        null=True, blank=True, help_text="When upstream last took away all that it had."
    )
    generation = models.PositiveIntegerField(
        default=1, help_text="Grows when a name that had gone is registered anew."
    )
    registered_anew_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when another registration has the name; empty: the first one."
    )
    added_at = models.DateTimeField(db_default=Now())
    fetched_at = models.DateTimeField(default=NEVER, help_text="When upstream was last asked about it.")
    plan_needed = models.BooleanField(
        default=True, help_text="Something changed that decides what is to be built."
    )
    plan_asked_at = models.DateTimeField(
        default=NEVER,
        db_default=NEVER,
        editable=False,
        help_text="When one was last asked for of this package by itself; a new target asks it of all.",
    )
    revision = models.PositiveBigIntegerField(
        default=0, help_text="Grows with each change that a reader of the index or the pages could see."
    )
    shown_revision = models.BigIntegerField(
        default=0,
        db_default=0,
        help_text="The revision that the published index shows.",
    )
    changed_at = models.DateTimeField(db_default=Now())

    objects = PackageQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(name__regex=CANONICAL), name="packages_package_name_canonical")
        ]
        indexes = [
            models.Index(
                fields=["-plan_asked_at"], condition=Q(plan_needed=True), name="packages_package_next_plan"
            ),
            models.Index(fields=["fetched_at"], name="packages_package_to_refresh"),
            models.Index(
                fields=["shown_revision"],
                condition=~Q(shown_revision=F("revision")),
                name="packages_package_to_show",
            ),
            models.Index(
                fields=["emptied_at"],
                condition=Q(emptied_at__isnull=False),
                name="packages_package_emptied",
            ),
            # Of a million packages the few that the admin filters for.
            models.Index(
                fields=["status", "id"], condition=~Q(status="active"), name="packages_package_status"
            ),
            models.Index(fields=["id"], condition=~Q(skip_reason=""), name="packages_package_skipped"),
        ]

    def __str__(self) -> str:
        return self.display_name

    def get_absolute_url(self) -> str:
        """Return the path of the package's page."""
        return f"/project/{self.name}/"

    @property
    def is_hidden(self) -> bool:
        """Whether nothing of it is handed out."""
        return self.status in self.HIDDEN

    @property
    def why_not_built(self) -> str:
        """Why nothing of it is built, whoever asks for it; empty where something may be."""
        if self.status == self.Status.GONE:
            return "PyPI no longer has it."
        if self.status == self.Status.QUARANTINED:
            return "PyPI has put it into quarantine."
        return f"It is skipped here: {self.skip_reason}" if self.skip_reason else ""

    def mark_changed(self) -> None:
        """Tell whoever keeps pages of this package that they are old.

        The row is locked until the caller's transaction ends, so no two changes share a revision.
        """
        # Somebody waits for a change, and nobody does for what is only written anew.  Whoever began to write
        # the pages before has read another `shown_revision` than the revision until now, or writes them once
        # more.  Without the ORM, which takes five times as long (0.36 ms for 0.07), as each build needs it.
        plain_sql.change(
            "UPDATE packages_package SET shown_revision = CASE WHEN shown_revision < 0 THEN revision"  # noqa: S608
            " ELSE shown_revision END, revision = revision + 1,"
            f" changed_at = {plain_sql.now()} WHERE id = %s",
            [self.pk],
            is_frequent=True,
        )

    def hold(self) -> None:
        """Keep others from changing this row until the transaction ends.

        Whoever changes a package and its builds in one transaction takes the package first, so that two of
        them cannot wait for each other.
        """
        Package.objects.hold([self.pk])

    def request_plan(self) -> None:
        """Ask for another look at what is to be built of this package."""
        Package.objects.filter(pk=self.pk).update(plan_needed=True, plan_asked_at=Now())

    def begin_plan(self) -> bool:
        """Take the request for a look; False if somebody else did.

        To be called in the transaction that makes the plan: a change that comes meanwhile waits for its
        end and asks anew.
        """
        return Package.objects.filter(pk=self.pk, plan_needed=True).update(plan_needed=False) == 1

    def put_plan_off(self, now: datetime) -> None:
        """Let a plan that failed wait, unless another was asked for since this row was read."""
        # No later one, as SQLite may have the same time in two forms.
        as_read = Package.objects.filter(pk=self.pk, plan_asked_at__lte=self.plan_asked_at)
        as_read.update(plan_asked_at=now - AGO)

    def skip(self, reason: str) -> None:
        """Build nothing more of this package."""
        self._change(skip_reason=reason)

    def unskip(self) -> None:
        """Build this package again."""
        self._change(skip_reason="")

    def follow(self, depth: int | None) -> None:
        """Build that many of the newest versions; None is what the farm's setting says."""
        self._change(depth=depth)

    def rejoin(self) -> None:
        """Show again what was built before the name was registered anew: it is the same project after all."""
        self._change(registered_anew_at=None)

    @transaction.atomic
    def _change(self, **fields: object) -> None:
        """Set fields that decide what is built and what pages show."""
        for field, value in fields.items():
            setattr(self, field, value)
        Package.objects.filter(pk=self.pk).update(**fields, plan_needed=True, plan_asked_at=Now())
        self.mark_changed()


class Alias(models.Model):
    """A spelling of a package's name that has been seen upstream."""

    package = models.ForeignKey(Package, models.CASCADE, related_name="aliases")
    name = models.CharField(max_length=200, unique=True)
    seen_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "aliases"

    def __str__(self) -> str:
        return self.name

"""What is in the published tree, as rows: of each package, and of the tree as a whole."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import F, Q

from packages import keyset
from packages.batches import batches
from packages.clock import is_over
from packages.models import NEVER, Package


class ShownQuerySet(models.QuerySet["Shown"]):
    """Questions about what is in the tree."""

    def listed(self) -> Self:
        """What the lists of all projects have, in their order."""
        return self.exclude(indexes="").order_by("package__name")

    def keys_of(self, names: Collection[str]) -> Iterator[int]:
        """Give the packages of these names that have something in the tree; of no names, all that have."""
        for some in batches(names) if names else [None]:
            yield from keyset.keys(self if some is None else self.filter(package__name__in=some))

    def to_sweep(self, now: datetime) -> Self:
        """Packages with files that are to go by now."""
        return self.filter(sweep_at__lte=now)

    def failing(self, now: datetime) -> Self:
        """Packages that could not be written and are not to be tried again yet."""
        # Later than that it cannot be, unless the database's clock was put back since.
        return self.filter(retry_at__gt=now, retry_at__lte=now + 2 * Shown.RETRY)


class Shown(models.Model):
    """What there may be of one package in the published tree.

    The row is there before the first file, and stays when the last is gone: so nothing is left behind that
    no row tells of, and no page ever gets a time that the same page had before.
    """

    # How long a file stays when no page lists it any more: caches may have a page for five minutes, and for a
    # day while we do not answer.
    LINGER = timedelta(days=1)
    # How long a package waits that could not be written.
    RETRY = timedelta(minutes=1)

    package = models.OneToOneField(Package, models.CASCADE, primary_key=True, related_name="shown")
    indexes = models.TextField(blank=True, help_text="The indexes that have a page of it, with spaces.")
    display_name = models.CharField(max_length=200, blank=True, help_text="As the lists have it.")
    modified = models.BigIntegerField(default=0, help_text="The latest second that any page of it has had.")
    sweep_at = models.DateTimeField(null=True, blank=True, help_text="When files that no page lists go.")
    retry_at = models.DateTimeField(null=True, blank=True, help_text="When it is tried again after a fault.")

    objects = ShownQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "shown packages"
        indexes = [
            models.Index(
                fields=["sweep_at"], condition=Q(sweep_at__isnull=False), name="simple_shown_to_sweep"
            ),
            models.Index(
                fields=["retry_at"], condition=Q(retry_at__isnull=False), name="simple_shown_failing"
            ),
        ]

    def __str__(self) -> str:
        return str(self.package)

    @classmethod
    def announce(cls, packages: Collection[int]) -> None:
        """Note that there may be something of packages in the tree from now on."""
        known = set(Shown.objects.filter(pk__in=packages).values_list("pk", flat=True))
        new = [Shown(package_id=package) for package in sorted(set(packages) - known)]
        Shown.objects.bulk_create(new, ignore_conflicts=True)

    def put_off(self, now: datetime) -> None:
        """Try again later."""
        Shown.objects.filter(pk=self.pk).update(retry_at=now + self.RETRY)

    def note(
        self, *, indexes: Collection[str], display_name: str, modified: int, sweep_at: datetime | None
    ) -> bool:
        """Note what there is of the package; True if the lists of all projects are to change."""
        listed = " ".join(sorted(indexes))
        before = self.indexes, self.display_name
        self.indexes, self.display_name = listed, display_name
        self.modified, self.sweep_at, self.retry_at = modified, sweep_at, None
        self.save(update_fields=["indexes", "display_name", "modified", "sweep_at", "retry_at"])
        return before != (listed, display_name) and (bool(before[0]) or bool(listed))


class PublishedTree(models.Model):
    """Which folder the tree is in, what it was made of, and how old its lists of projects are; one row."""

    # Of a farm with a million names, writing the lists is not to take more than this part of the time.
    PART = 0.01

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    key = models.CharField(max_length=32, blank=True, help_text="What the folder's own note says.")
    made_of = models.CharField(max_length=64, blank=True, help_text="A hash of what all pages depend on.")
    names = models.PositiveBigIntegerField(
        default=1, help_text="Grows with each change of the names that are shown."
    )
    names_listed = models.PositiveBigIntegerField(default=0, help_text="Which of those the lists have.")
    listed_at = models.DateTimeField(default=NEVER, help_text="When the lists were last written.")
    listing_s = models.FloatField(default=0, help_text="How long that took.")

    class Meta:
        verbose_name = "published tree"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="simple_tree_single")]

    def __str__(self) -> str:
        return self.key

    @classmethod
    def current(cls) -> "PublishedTree":
        """Return the row, as it is now."""
        return cls.objects.get_or_create(pk=1)[0]

    def begin(self, key: str, made_of: str) -> None:
        """Note that the tree is another one, or made of other things."""
        self.key, self.made_of = key, made_of
        self.save(update_fields=["key", "made_of"])
        self.rename()

    def rename(self) -> None:
        """Note that the names that are shown are others now."""
        PublishedTree.objects.filter(pk=self.pk).update(names=F("names") + 1)

    def is_listing_due(self, now: datetime) -> bool:
        """Tell whether the lists of all projects are to be written: they are old, and time was left free."""
        pause = timedelta(seconds=self.listing_s * (1 / self.PART - 1))
        return self.names != self.names_listed and is_over(self.listed_at, pause, now)

    def note_listed(self, names: int, now: datetime, took_s: float) -> None:
        """Note which names the lists have, and what it took."""
        self.names_listed, self.listed_at, self.listing_s = names, now, took_s
        self.save(update_fields=["names_listed", "listed_at", "listing_s"])

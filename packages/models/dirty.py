"""Which names are to be looked up upstream, and why."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Self

from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now
from packaging.utils import canonicalize_name

from packages import plain_sql

# SQLite takes 999 variables in a statement, and a mark has up to seven.
MARKED_AT_ONCE = 140

# The ORM has no "only if it is greater" for a row that is already there.  What somebody waits for (`URGENT`)
# stays so, whoever hears of it later.
_HINT = """
    INSERT INTO packages_dirty (name, wanted_serial, why, marked_at, not_before, attempts, error)
    VALUES {places}
    ON CONFLICT (name) DO UPDATE
    SET wanted_serial = EXCLUDED.wanted_serial, not_before = EXCLUDED.not_before, attempts = 0, error = '',
        why = CASE WHEN packages_dirty.why IN ('journal', 'person') THEN packages_dirty.why
                   ELSE EXCLUDED.why END
    WHERE packages_dirty.wanted_serial IS NULL OR packages_dirty.wanted_serial < EXCLUDED.wanted_serial
"""


class DirtyQuerySet(models.QuerySet["Dirty"]):
    """Questions about dirty names."""

    def due(self, now: datetime) -> Self:
        """Names to look up now, the longest waiting first."""
        return self.filter(not_before__lte=now).order_by("not_before")


class Dirty(models.Model):
    """A name to look up upstream, because something about it may have changed."""

    class Why(models.TextChoices):
        """Who says so."""

        FIRST = "first", "the first look at all of upstream"
        JOURNAL = "journal", "an event in upstream's journal"
        LISTING = "listing", "upstream's list of all projects"
        AGE = "age", "nobody has looked for long"
        PERSON = "person", "somebody asked for it"

    # What somebody waits for; a first look at all of upstream takes days, and must not be in its way.
    URGENT = (Why.JOURNAL, Why.PERSON)
    # Who takes longer says so in time; a name whose fetcher died is taken again after this.
    HOLD = timedelta(seconds=45)
    # A name is put off for an hour, and for one more if upstream asks for it.
    LONGEST = timedelta(hours=2)

    name = models.CharField(max_length=200, primary_key=True)
    wanted_serial = models.BigIntegerField(
        null=True, blank=True, help_text="An answer with a lower serial is an old one from a cache."
    )
    why = models.CharField(max_length=8, choices=Why, default=Why.PERSON, db_default="person")
    marked_at = models.DateTimeField(db_default=Now(), help_text="Since when it waits.")
    attempts = models.PositiveIntegerField(default=0)
    not_before = models.DateTimeField(db_default=Now())
    error = models.CharField(max_length=500, blank=True)

    objects = DirtyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "dirty names"
        indexes = [
            models.Index(fields=["not_before"], name="packages_dirty_not_before"),
            models.Index(fields=["marked_at"], name="packages_dirty_marked_at"),
            models.Index(
                fields=["not_before"],
                condition=Q(why__in=["journal", "person"]),
                name="packages_dirty_urgent",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def mark(cls, name: str, wanted_serial: int | None = None) -> None:
        """Have a name looked up soon, because somebody asks; a mark that is there becomes a person's.

        It begins anew, but for what was last said of it: `doubt` counts what upstream denies by that.
        Raises ValueError for what is no package name.
        """
        canonical = canonicalize_name(name, validate=True)
        Dirty.objects.bulk_create(
            [Dirty(name=canonical, wanted_serial=wanted_serial, not_before=Now())],
            update_conflicts=True,
            unique_fields=["name"],
            update_fields=["not_before", "why", "attempts", *(["wanted_serial"] if wanted_serial else [])],
        )

    @classmethod
    def hint(cls, serials: Mapping[str, int], why: Why, now: datetime) -> int:
        """Mark names that changed with an event, and return for how many that is news.

        A mark that waits for the same event or a later one stays as it is, so a hint may come twice, late or
        in any order.  One that waits for less begins anew, so that a look-up which is on its way and may have
        come too early does not settle it.
        """
        rows = [(name, serials[name], why.value, now) for name in sorted(serials)]
        return sum(
            cls._hint(rows[start : start + MARKED_AT_ONCE]) for start in range(0, len(rows), MARKED_AT_ONCE)
        )

    @classmethod
    def remind(cls, names: Collection[str], why: Why, now: datetime) -> int:
        """Mark names that may have changed, unless they are marked, and return how many were not.

        No more names than one statement takes.
        """
        wanted = set(names)
        new = wanted.difference(Dirty.objects.filter(name__in=wanted).values_list("name", flat=True))
        Dirty.objects.bulk_create(
            [Dirty(name=name, why=why, marked_at=now, not_before=now) for name in sorted(new)],
            MARKED_AT_ONCE,
            ignore_conflicts=True,
        )
        return len(new)

    @staticmethod
    def _hint(rows: list[tuple[str, int, str, datetime]]) -> int:
        places = ", ".join(["(%s, %s, %s, %s, %s, 0, '')"] * len(rows))
        return plain_sql.change(
            _HINT.format(places=places), [value for row in rows for value in (*row, row[-1])]
        )

    @classmethod
    def hold_due(cls, now: datetime, limit: int) -> "list[Dirty]":
        """Take names that are due, urgent ones first, and keep others from looking them up for a while."""
        until = now + cls.HOLD
        with transaction.atomic():
            due = Dirty.objects.select_for_update(skip_locked=True).due(now)
            held = list(due.filter(why__in=cls.URGENT)[:limit])
            held += due.exclude(why__in=cls.URGENT)[: limit - len(held)]
            if not held:
                # Nobody puts a name off for so long: the database's clock was put back since.
                locked = Dirty.objects.select_for_update(skip_locked=True)
                held = list(locked.filter(not_before__gt=now + 2 * cls.LONGEST)[:limit])
            for batch in range(0, len(held), MARKED_AT_ONCE):
                names = [dirty.name for dirty in held[batch : batch + MARKED_AT_ONCE]]
                Dirty.objects.filter(name__in=names).update(not_before=until)
        for dirty in held:
            dirty.not_before = until
        return held

    @classmethod
    def keep(cls, held: "Sequence[Dirty]", now: datetime) -> None:
        """Go on keeping others from those of these names that are still ours."""
        if not held:
            return
        until = now + cls.HOLD
        for batch in range(0, len(held), MARKED_AT_ONCE):
            with transaction.atomic():
                cls._lock_ours(held[batch : batch + MARKED_AT_ONCE]).update(not_before=until)
        for dirty in held:
            dirty.not_before = until

    @classmethod
    def let_go(cls, held: "Collection[Dirty]", now: datetime) -> None:
        """Let others look up names that we took and did not come to."""
        if held:
            with transaction.atomic():
                cls._lock_ours(held).update(not_before=now)

    def hold(self, now: datetime) -> bool:
        """Keep others from looking this name up for a while; False if they came first."""
        until = now + self.HOLD
        # Not compared with the time that we read: SQLite's own clock writes "12:00:00.500" and Django
        # "12:00:00.500000", which are two texts.
        held = Dirty.objects.filter(pk=self.pk, not_before__lte=now).update(not_before=until)
        self.not_before = until
        return held == 1

    @classmethod
    def forget(cls, held: "Collection[Dirty]") -> None:
        """Forget names that we took together, unless they were marked again since."""
        if held:
            with transaction.atomic():
                cls._lock_ours(held).delete()

    @classmethod
    def _lock_ours(cls, held: "Collection[Dirty]") -> "DirtyQuerySet":
        """Keep others from changing those of some names that are still ours, which we took together.

        In the order of names, as the journal does, so that none of both waits for the other.
        """
        ours = Dirty.objects.filter(not_before=next(iter(held)).not_before)
        ours = ours.filter(name__in=[dirty.name for dirty in held])
        list(ours.order_by("name").select_for_update().values_list("name"))
        return ours

    def clear(self) -> None:
        """Forget the name, unless it was marked again since we took it."""
        Dirty.objects.filter(pk=self.pk, not_before=self.not_before).delete()

    def put_off(self, now: datetime, error: str) -> None:
        """Try again later, each time after a longer pause: 2 s, 4 s, ... an hour at most."""
        pause = timedelta(seconds=min(2 ** min(self.attempts + 1, 12), 3600))
        Dirty.objects.filter(pk=self.pk, not_before=self.not_before).update(
            attempts=self.attempts + 1, not_before=now + pause, error=error[:500]
        )

"""How far we have read upstream, and where we read it."""

from datetime import datetime, timedelta

from django.db import models
from django.db.models import F, Q

from packages.clock import is_over
from packages.models.package import NEVER


def _over(field: str, now: datetime, longest: timedelta) -> Q:
    """What was to last until then, and does no longer.

    What would last longer than anything may is from before the database's clock was put back.
    """
    return Q(**{f"{field}__lte": now}) | Q(**{f"{field}__gt": now + 2 * longest})


class SyncCursor(models.Model):
    """How far we have read upstream's journal, and what upstream has for us to read; one row."""

    class Journal(models.TextChoices):
        """Whether upstream tells us what changed."""

        UNKNOWN = "", "not asked yet"
        XML_RPC = "xml-rpc", "XML-RPC"
        ABSENT = "absent", "upstream has none"

    class Listing(models.TextChoices):
        """What upstream's list of all projects tells."""

        UNKNOWN = "", "not asked yet"
        SERIALS = "serials", "names and serials"
        NAMES = "names", "names only"
        EACH = "each", "not read, as few packages are followed"

    # Who takes longer for a page of the journal says so in time; a poller that died is replaced after this.
    POLLING = timedelta(seconds=45)
    # Reading the list of all projects takes an hour at most (`pypi.ROOT_S`).
    LISTING = timedelta(minutes=65)
    # Upstream may ask for an hour (`fetch.MAX_RETRY_AFTER_S`).
    PAUSE = timedelta(hours=1)
    # A journal that was silent for this long tells nothing of what changed meanwhile.
    SILENCE = timedelta(minutes=15)
    # One that was heard so lately is not gone because something in between refuses a call.
    LASTS = timedelta(hours=3)
    # It is read each hour where there is no journal.
    LISTED = timedelta(hours=3)
    # How often to ask for a journal that was absent.
    ASK_AGAIN = timedelta(days=1)

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    upstream = models.CharField(
        max_length=500,
        default="",
        db_default="",
        blank=True,
        help_text="The index that all of this is about.",
    )
    moved_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Since when it is another index, of which not all of our packages have been seen yet.",
    )
    serial = models.BigIntegerField(
        default=0, help_text="The last event of which the name is marked; 0 before the first."
    )
    upstream_serial = models.BigIntegerField(
        default=0, db_default=0, help_text="Upstream's last event, as last heard."
    )
    journal = models.CharField(max_length=8, choices=Journal, default="", db_default="", blank=True)
    journal_asked_at = models.DateTimeField(
        default=NEVER, db_default=NEVER, help_text="When upstream was last asked for one."
    )
    polled_at = models.DateTimeField(
        default=NEVER, db_default=NEVER, help_text="When the journal was last read to its end."
    )
    polling_until = models.DateTimeField(
        default=NEVER, db_default=NEVER, help_text="Until when one poller keeps others away."
    )
    listing = models.CharField(max_length=8, choices=Listing, default="", db_default="", blank=True)
    listing_etag = models.CharField(max_length=200, default="", db_default="", blank=True)
    listing_until = models.DateTimeField(
        default=NEVER, db_default=NEVER, help_text="Until when one reader keeps others away."
    )
    listed_at = models.DateTimeField(null=True, blank=True, help_text="When all names were last read.")
    scanned_at = models.DateTimeField(
        default=NEVER, db_default=NEVER, help_text="When the slow scan last took packages."
    )
    paused_until = models.DateTimeField(
        default=NEVER, help_text="Until when upstream wants to be left alone."
    )
    stale_answers = models.BigIntegerField(
        default=0, db_default=0, help_text="How many answers came from an old cache."
    )
    corrections = models.BigIntegerField(
        default=0,
        db_default=0,
        help_text="How many changes the journal had not told of; each is a fault somewhere.",
    )
    doubted_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when nothing is withdrawn, as too much was to vanish at once."
    )
    doubted = models.PositiveIntegerField(
        default=0, db_default=0, help_text="How many packages were to vanish then."
    )
    believed_until = models.DateTimeField(
        default=NEVER, help_text="Until when an operator believes whatever vanishes."
    )

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="packages_cursor_single")]

    def __str__(self) -> str:
        return f"serial {self.serial}"

    @classmethod
    def current(cls) -> "SyncCursor":
        """Return the row, as it is now."""
        return cls.objects.get_or_create(pk=1)[0]

    @property
    def lag(self) -> int:
        """How many events upstream has that we have not read, as far as we know."""
        return max(self.upstream_serial - self.serial, 0)

    def is_journal_heard(self, now: datetime) -> bool:
        """Whether the journal tells what changes, so that nobody has to ask each package."""
        return self.journal == self.Journal.XML_RPC and now - self.polled_at < self.SILENCE

    def was_journal_heard(self, now: datetime) -> bool:
        """Whether the journal was heard within hours: then an answer that denies it is an outage."""
        return self.journal == self.Journal.XML_RPC and not is_over(self.polled_at, self.LASTS, now)

    def is_listing_heard(self, now: datetime) -> bool:
        """Whether the list of all projects tells what changes, if only now and then."""
        if self.listing != self.Listing.SERIALS or self.listed_at is None:
            return False
        return now - self.listed_at < self.LISTED

    def take_poll(self, now: datetime) -> bool:
        """Become the only poller for a while; False if another is, or there is nothing to poll."""
        if self.journal == self.Journal.ABSENT and now - self.journal_asked_at < self.ASK_AGAIN:
            return False
        free = _over("polling_until", now, self.POLLING) & _over("paused_until", now, self.PAUSE)
        return self._rows().filter(free).update(polling_until=now + self.POLLING) == 1

    def prolong_poll(self, now: datetime) -> None:
        """Stay the only poller, as there is more to read."""
        self._rows().update(polling_until=now + self.POLLING)

    def note_end(self, upstream_serial: int) -> None:
        """Note where upstream's journal ends, as we are far behind."""
        self._rows().update(upstream_serial=upstream_serial)

    def release_poll(self, now: datetime) -> None:
        """Let the next poll begin."""
        self._rows().update(polling_until=now)

    def hear_journal(self, now: datetime, upstream_serial: int) -> None:
        """Note that upstream has a journal, and where that ends."""
        self._rows().update(
            journal=self.Journal.XML_RPC,
            journal_asked_at=now,
            polled_at=now,
            upstream_serial=upstream_serial,
        )

    def miss_journal(self, now: datetime) -> None:
        """Note that upstream has no journal; it is asked again after a day."""
        self._rows().update(journal=self.Journal.ABSENT, journal_asked_at=now)

    def advance(self, serial: int) -> bool:
        """Move to a later event; False if somebody else has moved since we read where we are.

        To be called in the transaction that marks the names of all events up to that one.
        """
        moved = self._rows().filter(serial=self.serial, serial__lte=serial).update(serial=serial)
        self.serial = serial
        return moved == 1

    def begin(self, serial: int) -> bool:
        """Start from an event, with a look at all names to come; False if somebody else did."""
        moved = self._rows().filter(serial=0).update(serial=serial, listed_at=None, listing_etag="")
        self.serial = serial
        return moved == 1

    def follow(self, upstream: str) -> None:
        """Note which index all of this is about, if nobody has yet."""
        self._rows().filter(upstream="").update(upstream=upstream)

    def move(self, upstream: str, now: datetime) -> bool:
        """Forget how far we had read another index; False if somebody else did.

        What a person decided or has to look at stays.
        """
        moved = (
            self._rows()
            .filter(upstream=self.upstream)
            .update(
                upstream=upstream,
                moved_at=now,
                serial=0,
                upstream_serial=0,
                journal=self.Journal.UNKNOWN,
                journal_asked_at=NEVER,
                polled_at=NEVER,
                listing=self.Listing.UNKNOWN,
                listing_etag="",
                listed_at=None,
                paused_until=NEVER,
            )
        )
        return moved == 1

    def arrive(self) -> None:
        """Note that all of our packages have been seen at this index."""
        self._rows().update(moved_at=None)

    def pause(self, until: datetime) -> None:
        """Ask nothing of upstream until then."""
        longer = Q(paused_until__range=(until, until + 2 * self.PAUSE))
        self._rows().exclude(longer).update(paused_until=until)

    def is_paused(self, now: datetime) -> bool:
        """Tell whether upstream wants to be left alone."""
        return now < self.paused_until <= now + 2 * self.PAUSE

    def doubt(self, count: int, now: datetime) -> bool:
        """Believe no absence of so many packages at once; False if we did not anyway."""
        self.note_doubted(count)
        return self._rows().filter(doubted_at=None).update(doubted_at=now, doubted=count) == 1

    def note_doubted(self, count: int) -> None:
        """Note that so many are doubted, as long as they are: the most that there ever were counts."""
        self._rows().filter(doubted_at__isnull=False, doubted__lt=count).update(doubted=count)

    def settle_doubt(self) -> None:
        """Believe absences again, as long as they are few."""
        self._rows().update(doubted_at=None, doubted=0)

    def believe(self, until: datetime) -> None:
        """Believe all absences until then."""
        self._rows().update(moved_at=None, doubted_at=None, doubted=0, believed_until=until)

    def take_listing(self, now: datetime) -> bool:
        """Become the only reader of the list of all projects for a while; False if another is."""
        free = _over("listing_until", now, self.LISTING) & _over("paused_until", now, self.PAUSE)
        return self._rows().filter(free).update(listing_until=now + self.LISTING) == 1

    def release_listing(self, until: datetime) -> None:
        """Let the list be read again from then on."""
        self._rows().update(listing_until=until)

    def hear_listing(self, kind: Listing, etag: str, now: datetime) -> None:
        """Note that the list was read to its end, and what it tells."""
        self._rows().update(listing=kind, listing_etag=etag, listed_at=now)

    def take_scan(self, now: datetime, since: datetime) -> bool:
        """Note that the slow scan takes packages now; False if somebody else does."""
        return self._rows().filter(scanned_at=since).update(scanned_at=now) == 1

    def count_stale(self) -> None:
        """Count an answer that came from an old cache."""
        self._rows().update(stale_answers=F("stale_answers") + 1)

    def count_correction(self) -> None:
        """Count a change that the journal had not told of."""
        self._rows().update(corrections=F("corrections") + 1)

    def _rows(self) -> "models.QuerySet[SyncCursor]":
        return SyncCursor.objects.filter(pk=self.pk)

"""What operators tell everybody, what opens the API to them, what is read once, and what they are told."""

import secrets
from datetime import datetime, timedelta
from typing import ClassVar, Self

from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import models
from django.db.models import Exists, OuterRef, Q

from builds.models.token import digest
from packages.clock import is_over
from packages.models import NEVER


class NoticeQuerySet(models.QuerySet["Notice"]):
    """Notices, by what is asked of them."""

    def standing(self, now: datetime) -> Self:
        """Return those that are on every page now."""
        return self.filter(Q(ends_at=None) | Q(ends_at__gt=now), begins_at__lte=now)


class Notice(models.Model):
    """One thing that everybody should know, from one moment to another."""

    class Kind(models.TextChoices):
        """What a notice is about."""

        NEWS = "news"
        INCIDENT = "incident"
        # All that is here was made up to be looked at.
        SAMPLE = "sample", "sample data"

    # Each page shows them; so long, in seconds, may one that is new be missing.
    _KEPT_S = 10

    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.NEWS)
    title = models.CharField(max_length=200)
    text = models.TextField(blank=True, help_text="Plain text; an empty line begins a paragraph.")
    begins_at = models.DateTimeField(db_index=True)
    ends_at = models.DateTimeField(null=True, blank=True, help_text="Empty: until somebody ends it.")

    objects: ClassVar = NoticeQuerySet.as_manager()

    class Meta:
        ordering = ["-begins_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                name="site_notice_ends_after_it_begins",
                condition=Q(ends_at=None) | Q(ends_at__gte=models.F("begins_at")),
                violation_error_message="A notice cannot end before it begins.",
            )
        ]

    def __str__(self) -> str:
        return self.title

    @classmethod
    def shown(cls, now: datetime) -> "list[Notice]":
        """Return what every page shows, asking the database now and then."""
        found = cache.get_or_set("standing-notices", lambda: list(cls.objects.standing(now)), cls._KEPT_S)
        return [notice for notice in found or [] if notice.ends_at is None or notice.ends_at > now]


class SeriesRead(models.Model):
    """The series of the statistics of one span, as they were last read; `piwheels_site.series` does it."""

    # What is quickly read is so this often; nothing takes more than this part of the time.
    LEAST = timedelta(minutes=1)
    PART = 0.02
    # Many times as old as it should be.
    OLD = timedelta(hours=1)

    span = models.CharField(max_length=3, primary_key=True, help_text="As simple.spans has it.")
    today = models.DateField(help_text="The day that it ends on.")
    at = models.DateTimeField(default=NEVER)
    took_s = models.FloatField(default=0)
    rows = models.JSONField(default=dict, help_text="By the name of each series.")

    class Meta:
        verbose_name = "read series"
        verbose_name_plural = "read series"

    def __str__(self) -> str:
        return f"{self.span} {self.today}"

    def is_due(self, now: datetime) -> bool:
        """Tell whether it is time to read again."""
        pause = max(self.LEAST, timedelta(seconds=self.took_s / self.PART))
        return is_over(self.at, pause, now)

    def is_old(self, now: datetime) -> bool:
        """Tell whether nobody seems to read any more."""
        return now - self.at >= self.OLD

    def note(self, rows: object, took_s: float, now: datetime) -> None:
        """Note what was read, and how long that took."""
        self.rows, self.took_s, self.at, self.today = rows, took_s, now, now.date()
        self.save(update_fields=["rows", "took_s", "at", "today"])


class AlertQuerySet(models.QuerySet["Alert"]):
    """Questions about what needed a person."""

    def going_on(self) -> Self:
        """Return what still does."""
        return self.filter(ended_at=None)

    def begun(self, now: datetime) -> Self:
        """Return what began long enough ago to be told, and was not, the first one first."""
        return self.going_on().filter(told_at=None, first_seen_at__lte=now - Alert.PATIENCE).order_by("pk")

    def over(self) -> Self:
        """Return what was told, and whose end was not."""
        return self.filter(ended_at__isnull=False, told_at__isnull=False, end_told_at=None).order_by("pk")


class Alert(models.Model):
    """One thing that needs a person, from when it was first seen until it was over."""

    # What is over by itself sooner than this is told to nobody, and what is away for less than that is not
    # over: something that comes and goes is one alert.
    PATIENCE = timedelta(minutes=2)
    CALM = timedelta(minutes=5)
    # How long what is over is kept.
    KEPT = timedelta(days=365)

    key = models.CharField(max_length=250, help_text="The check that found it, and what that calls it.")
    title = models.CharField(max_length=200)
    said = models.TextField(blank=True)
    url = models.CharField(max_length=500, blank=True)
    since = models.DateTimeField()
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    told_at = models.DateTimeField(null=True, blank=True, help_text="When its beginning was told.")
    end_told_at = models.DateTimeField(null=True, blank=True, help_text="When its end was told.")

    objects: ClassVar = AlertQuerySet.as_manager()

    class Meta:
        ordering = ["-first_seen_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=Q(ended_at=None), name="site_alert_one_of_a_kind"
            )
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def has_lasted(self) -> bool:
        """Whether it was still there when it had been there for a while."""
        return self.last_seen_at - self.first_seen_at >= self.PATIENCE

    def miss(self, now: datetime) -> None:
        """Note that it was not seen; after a while it is over, or forgotten if nobody was told."""
        if not is_over(self.last_seen_at, self.CALM, now):
            return
        open_rows = Alert.objects.filter(pk=self.pk, ended_at=None)
        if not open_rows.filter(told_at__isnull=False).update(ended_at=now):
            open_rows.filter(told_at=None).delete()

    def take_beginning(self, now: datetime) -> bool:
        """Be the one who tells that it has begun; False if somebody else is."""
        return Alert.objects.filter(pk=self.pk, told_at=None).update(told_at=now) == 1

    def take_end(self, now: datetime) -> bool:
        """Be the one who tells that it is over; False if somebody else is."""
        return Alert.objects.filter(pk=self.pk, end_told_at=None).update(end_told_at=now) == 1


class MessageQuerySet(models.QuerySet["Message"]):
    """Questions about messages to people."""

    def due(self, now: datetime) -> Self:
        """Return those that are to be sent now, the oldest first.

        Nobody puts one off for twice the longest pause: the database's clock was put back since.
        """
        is_time = Q(not_before__lte=now) | Q(not_before__gt=now + 2 * Message.LONGEST_PAUSE)
        return self.filter(is_time, sent_at=None, given_up_at=None).order_by("pk")

    def undelivered(self, made_before: datetime, given_up_after: datetime) -> Self:
        """Return those that do not arrive, or did not lately, where nothing has arrived since."""
        later = Message.objects.filter(channel=OuterRef("channel"), sent_at__gt=OuterRef("given_up_at"))
        lately = Q(given_up_at=None) | Q(given_up_at__gt=given_up_after)
        return self.filter(lately, ~Exists(later), sent_at=None, made_at__lt=made_before)

    def settled(self, before: datetime) -> Self:
        """Return those with which nothing has to be done since before then."""
        return self.filter(Q(sent_at__lt=before) | Q(given_up_at__lt=before))


class Message(models.Model):
    """One message to people on one channel, until it has arrived."""

    class Channel(models.TextChoices):
        """By what it goes."""

        MAIL = "mail"
        WEBHOOK = "webhook"
        MASTODON = "mastodon", "Mastodon"

    # One attempt takes seconds; a message whose sender died is taken again after this.
    HOLD = timedelta(minutes=5)
    # The pauses between attempts double from one to the other, and in the end nobody wants to know any more.
    FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
    PATIENCE = timedelta(days=2)
    KEPT = timedelta(days=90)

    key = models.CharField(max_length=100, unique=True, help_text="The same message is made once.")
    channel = models.CharField(max_length=8, choices=Channel)
    subject = models.CharField(max_length=200)
    text = models.TextField()
    facts = models.JSONField(default=dict, help_text="The same for programs.")
    made_at = models.DateTimeField()
    not_before = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=200, blank=True, help_text="Why the last attempt failed.")
    sent_at = models.DateTimeField(null=True, blank=True)
    given_up_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(
                fields=["not_before"], condition=Q(sent_at=None, given_up_at=None), name="site_message_due"
            )
        ]

    def __str__(self) -> str:
        return f"{self.channel}: {self.subject}"

    def take(self, now: datetime) -> bool:
        """Be the one who sends it; False if somebody else is."""
        until = now + self.HOLD
        taken = Message.objects.due(now).filter(pk=self.pk).update(not_before=until) == 1
        self.not_before = until
        return taken

    def arrive(self, now: datetime) -> None:
        """Note that it has arrived."""
        Message.objects.filter(pk=self.pk).update(sent_at=now, error="", attempts=self.attempts + 1)

    def fail(self, error: str, now: datetime) -> None:
        """Note that it has not arrived, and when to try again, if at all."""
        pause = min(self.FIRST_PAUSE * 2 ** min(self.attempts, 10), self.LONGEST_PAUSE)
        ended = {"given_up_at": now} if now - self.made_at > self.PATIENCE else {}
        Message.objects.filter(pk=self.pk).update(
            attempts=self.attempts + 1, error=error[:200], not_before=now + pause, **ended
        )

    def give_up(self, error: str, now: datetime) -> None:
        """Send it no more."""
        Message.objects.filter(pk=self.pk).update(given_up_at=now, error=error[:200])


class OperatorTokenQuerySet(models.QuerySet["OperatorToken"]):
    """Questions about tokens."""

    def good(self, now: datetime) -> Self:
        """Return those that open something now: neither revoked nor too old, and their account is active."""
        in_time = Q(expires_at=None) | Q(expires_at__gt=now)
        return self.filter(in_time, revoked_at=None, user__is_active=True, user__is_staff=True)

    def by_secret(self, secret: str, now: datetime) -> "OperatorToken | None":
        """Return the good token that this is the secret of."""
        return self.good(now).filter(token_hash=digest(secret)).select_related("user").first()


class OperatorToken(models.Model):
    """What a program opens the operators' part of the API with, in the name of one account."""

    # By this a search for secrets that got loose knows one.
    PREFIX = "piwheels_op_"
    # So often is noted that it was used, however often it is.
    NOTED = timedelta(minutes=1)

    user = models.ForeignKey(User, models.PROTECT, related_name="operator_tokens")
    name = models.CharField(max_length=100, help_text="Where it is used, as “Ann's laptop”.")
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: until it is revoked.")
    revoked_at = models.DateTimeField(null=True, blank=True)
    used_at = models.DateTimeField(null=True, blank=True, help_text="When it was last used.")

    objects: ClassVar = OperatorTokenQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"

    def issue(self, now: datetime) -> str:
        """Begin its life; return its secret, which is kept nowhere."""
        secret = self.PREFIX + secrets.token_urlsafe(32)
        self.token_hash, self.created_at = digest(secret), now
        self.save()
        return secret

    def revoke(self, now: datetime) -> bool:
        """Have it open nothing any more; False if it was revoked before."""
        revoked = OperatorToken.objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=now)
        return revoked == 1

    def use(self, now: datetime) -> None:
        """Note that it was used, now and then."""
        if self.used_at is None or now - self.used_at >= self.NOTED:
            OperatorToken.objects.filter(pk=self.pk).update(used_at=now)

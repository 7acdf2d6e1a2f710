"""Bundles that somebody asked for."""

import secrets
from datetime import datetime, timedelta
from typing import ClassVar, Self

from django.db import IntegrityError, models, transaction
from django.db.models import F, Q

from builds.models import Target
from packages.legible import legible


def _key() -> str:
    """Return an address that nobody guesses: what somebody installs is nobody else's business."""
    return secrets.token_urlsafe(12)


class BundleQuerySet(models.QuerySet["Bundle"]):
    """Questions about bundles."""

    def open(self) -> Self:
        """Bundles that are still to be made."""
        return self.filter(state__in=(Bundle.State.WAITING, Bundle.State.WORKING))

    def ready(self, now: datetime) -> Self:
        """Bundles that can be downloaded."""
        return self.filter(state=Bundle.State.READY, expires_at__gt=now)

    def lost(self, now: datetime) -> Self:
        """Bundles whose worker fell silent, or spoke before the database's clock was put back."""
        silent = Q(heard_at__lt=now - Bundle.SILENCE) | Q(heard_at__gt=now + Bundle.SILENCE)
        return self.filter(silent, state=Bundle.State.WORKING)


class Bundle(models.Model):
    """One question for a bundle, and what became of it.

    Several may have the same file: its name is the digest of what is in it.
    """

    class State(models.TextChoices):
        """How far it is."""

        WAITING = "waiting"
        WORKING = "working"
        READY = "ready"
        FAILED = "failed"

    # A worker says something every second, or has been waiting for upstream for half a minute.
    SILENCE = timedelta(minutes=3)
    # How often a worker may die with it, until it seems to be its fault.
    TRIES = 3
    # That of each of 300 packages something is said fits.
    MOST_PROBLEM = 50_000

    key = models.CharField(max_length=20, unique=True, default=_key, editable=False)
    day = models.DateField()
    client = models.BigIntegerField(help_text="Stands for whoever asked, on that day alone.")
    target = models.ForeignKey(Target, models.CASCADE, related_name="+")
    model = models.CharField(max_length=20, blank=True, help_text="Of the Pi; empty: any.")
    wanted = models.TextField(help_text="What was asked for, as a requirements or lock file.")
    installed = models.TextField(blank=True, help_text="What is on the machine, as pip freeze says it.")
    question = models.CharField(max_length=64, help_text="The sha256 of all that was asked.")
    asked_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    slot = models.PositiveSmallIntegerField(
        null=True, blank=True, unique=True, help_text="Which of the few places for work it has."
    )
    tries = models.PositiveSmallIntegerField(default=0)
    heard_at = models.DateTimeField(null=True, blank=True)
    step = models.CharField(max_length=200, blank=True, help_text="What is being done.")
    done = models.BigIntegerField(default=0, help_text="Bytes written.")
    total = models.BigIntegerField(default=0, help_text="Bytes to write.")
    problem = models.TextField(blank=True, help_text="Why it failed.")
    digest = models.CharField(max_length=64, blank=True, help_text="The sha256 of what is in it.")
    size = models.BigIntegerField(null=True, blank=True, help_text="Bytes of the zip.")
    content = models.JSONField(default=dict, blank=True, help_text="What is in it.")
    expires_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar = BundleQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["day", "client"], name="simple_bundle_of_client"),
            models.Index(fields=["question"], name="simple_bundle_question"),
            models.Index(fields=["asked_at"], name="simple_bundle_asked"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(slot=None) | Q(state="working"), name="simple_bundle_works_in_slot"
            ),
            models.CheckConstraint(
                condition=~Q(state="ready") | (~Q(digest="") & Q(size__isnull=False)),
                name="simple_bundle_ready_has_file",
            ),
        ]

    def __str__(self) -> str:
        return f"bundle {self.pk} for {self.target}: {self.state}"

    @property
    def path(self) -> str:
        """The path of the bundle's page, for whoever asked; `get_absolute_url` would lead the admin to it."""
        return f"/bundle/{self.key}/"

    @property
    def filename(self) -> str:
        """What the zip is called where it is downloaded."""
        return f"bundle-{self.digest[:12]}.zip"

    @property
    def is_open(self) -> bool:
        """Whether it is still to be made."""
        return self.state in (self.State.WAITING, self.State.WORKING)

    @property
    def before(self) -> int:
        """How many bundles are made before this one."""
        if not self.is_open:
            return 0
        return Bundle.objects.open().filter(asked_at__lt=self.asked_at).count()

    def claim(self, slots: int, now: datetime) -> bool:
        """Begin to work on this bundle in a free place; False if there is none, or somebody else began."""
        for slot in range(slots):
            waiting = Bundle.objects.filter(pk=self.pk, state=self.State.WAITING)
            try:
                with transaction.atomic():
                    claimed = waiting.update(
                        state=self.State.WORKING, slot=slot, tries=F("tries") + 1, heard_at=now, step=""
                    )
            except IntegrityError:
                continue
            self.refresh_from_db()
            return claimed == 1
        return False

    def note(self, step: str, now: datetime, *, done: int = 0, total: int = 0) -> bool:
        """Say how far the work is; False if it is no longer ours, as we were silent for too long."""
        return self._update(step=step, heard_at=now, done=done, total=total)

    def finish(self, digest: str, size: int, content: object, expires_at: datetime) -> bool:
        """Note that the zip is there; False if the work is no longer ours."""
        return self._update(
            state=self.State.READY,
            slot=None,
            digest=digest,
            size=size,
            content=content,
            expires_at=expires_at,
        )

    def fail(self, problem: str, expires_at: datetime) -> bool:
        """Note why there will be no zip; False if the work is no longer ours."""
        # It may name what strangers wrote.
        said = "\n".join(legible(line) for line in problem[: self.MOST_PROBLEM].splitlines())
        return self._update(state=self.State.FAILED, slot=None, problem=said, expires_at=expires_at)

    def give_back(self) -> bool:
        """Let another worker have it, as this one's fell silent; False if somebody else did."""
        return self._update(state=self.State.WAITING, slot=None)

    def _update(self, **fields: object) -> bool:
        """Change a row that is being worked on, by whoever began last."""
        mine = Bundle.objects.filter(pk=self.pk, state=self.State.WORKING, tries=self.tries)
        if mine.update(**fields) != 1:
            return False
        for name, value in fields.items():
            setattr(self, name, value)
        return True

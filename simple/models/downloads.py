"""What is counted of the index's use, and how far its logs were read.  Nobody's address is in here."""

import secrets
from datetime import date, datetime

from django.db import models

from builds.models import Wheel
from packages.models import Package
from simple.agents import Agent

# Of a path, its end.
MOST_PATH = 500


class Client(models.Model):
    """A kind of client: what installs, in which Python, on what; empty is what it did not say."""

    # Agents are not believed (simple/agents.py), but who makes new ones up all day must not fill the disk.
    MOST = 20_000

    installer = models.CharField(max_length=20, help_text="pip, uv, poetry, pdm, browser, other or unknown.")
    installer_version = models.CharField(max_length=20, blank=True)
    python = models.CharField(max_length=10, blank=True)
    os = models.CharField("OS", max_length=20, blank=True)
    os_release = models.CharField("OS release", max_length=20, blank=True)
    architecture = models.CharField(max_length=20, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=Agent._fields, name="simple_client_kind")]

    def __str__(self) -> str:
        return " ".join(filter(None, (getattr(self, field) for field in Agent._fields)))


# Wheels and clients are never deleted, and a check of two keys for each of a hundred million rows a month
# would cost more than all else; hence `db_constraint=False` below.


class Download(models.Model):
    """How often one wheel was downloaded by one kind of client on one day (UTC); kept for ever."""

    day = models.DateField()
    # An index of wheels would be written to all over, by a million rows a day.
    wheel = models.ForeignKey(
        Wheel, models.CASCADE, related_name="downloads", db_constraint=False, db_index=False
    )
    client = models.ForeignKey(
        Client, models.CASCADE, related_name="downloads", db_constraint=False, db_index=False
    )
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["day", "wheel", "client"], name="simple_download_day_wheel_client"
            )
        ]

    def __str__(self) -> str:
        return f"{self.wheel} {self.day}: {self.count}"


class MonthlyDownload(models.Model):
    """The same of those days of a month that are over; kept for ever."""

    month = models.DateField(help_text="Its first day.")
    wheel = models.ForeignKey(Wheel, models.CASCADE, related_name="+", db_constraint=False)
    client = models.ForeignKey(Client, models.CASCADE, related_name="+", db_constraint=False, db_index=False)
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["month", "wheel", "client"], name="simple_monthlydownload_kind")
        ]

    def __str__(self) -> str:
        return f"{self.wheel} {self.month:%Y-%m}: {self.count}"


class PackageDownload(models.Model):
    """How often the wheels of one package were downloaded on one day (UTC)."""

    day = models.DateField()
    package = models.ForeignKey(
        Package, models.CASCADE, related_name="downloads", db_constraint=False, db_index=False
    )
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["package", "day"], name="simple_packagedownload_package_day")
        ]
        indexes = [models.Index(fields=["day"], name="simple_packagedownload_day")]

    def __str__(self) -> str:
        return f"{self.package} {self.day}: {self.count}"


class DownloadDay(models.Model):
    """How many downloads one day (UTC) had.  Who counts more of a day holds its row meanwhile."""

    day = models.DateField(primary_key=True)
    count = models.PositiveBigIntegerField(default=0)
    in_month = models.BooleanField(default=False, help_text="Whether its downloads are in its month's.")
    summed = models.PositiveBigIntegerField(
        default=0, db_default=0, help_text="How many it had when they were summed up for the statistics."
    )
    saved_s = models.FloatField(
        default=0, db_default=0, help_text="How long those would have compiled, as simple.summing says."
    )

    def __str__(self) -> str:
        return f"{self.day}: {self.count}"


class RawDownload(models.Model):
    """One download, kept for `PIWHEELS_RAW_DOWNLOADS_DAYS`; on PostgreSQL each day has a partition.

    The fingerprint is made of the day's salt, the client's address and agent, and the wheel: who downloads a
    wheel again on the same day has the same one, and is not counted again.  Of two wheels no fingerprints
    tell that one client had both, and without the salt, which is thrown away, none tells of an address.
    """

    pk = models.CompositePrimaryKey("day", "fingerprint")
    day = models.DateField()
    fingerprint = models.BigIntegerField()
    wheel = models.ForeignKey(Wheel, models.CASCADE, related_name="+", db_constraint=False, db_index=False)
    client = models.ForeignKey(Client, models.CASCADE, related_name="+", db_constraint=False, db_index=False)
    hour = models.PositiveSmallIntegerField()

    def __str__(self) -> str:
        return f"{self.day} {self.hour}: {self.wheel_id}"


class DailySalt(models.Model):
    """The secret that a day's fingerprints are made with; gone when the next day is over."""

    day = models.DateField(primary_key=True)
    salt = models.CharField(max_length=64)

    def __str__(self) -> str:
        return str(self.day)

    @classmethod
    def of(cls, day: date) -> bytes:
        """Return the secret of a day, which all processes share."""
        row, _ = cls.objects.get_or_create(day=day, defaults={"salt": secrets.token_hex(32)})
        return bytes.fromhex(row.salt)


class Log(models.Model):
    """How far one log was read.

    It is known by its first line, so it stays the same one when it is renamed, copied or compressed.
    """

    first_line = models.CharField(max_length=64, unique=True, help_text="Its sha256.")
    path = models.CharField(max_length=MOST_PATH, help_text="Where it was when it was read.")
    is_followed = models.BooleanField(default=False, help_text="Read while it grew.")
    is_over = models.BooleanField(default=False, help_text="Nothing was written to it any more.")
    offset = models.PositiveBigIntegerField(default=0, help_text="Bytes read, as they are unpacked.")
    last_line = models.CharField(max_length=64, blank=True, help_text="The sha256 of the last one read.")
    last_line_at = models.PositiveBigIntegerField(default=0, help_text="Where that begins.")
    lines = models.PositiveBigIntegerField(default=0)
    downloads = models.PositiveBigIntegerField(default=0)
    misses = models.PositiveBigIntegerField(default=0)
    refused = models.JSONField(default=dict, blank=True, help_text="Lines that could not be read, by reason.")
    modified_at = models.DateTimeField(null=True, help_text="When it was written to, by its file system.")
    read_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.path}: {self.lines} lines"

    def move(self, offset: int, **fields: object) -> bool:
        """Note how far it was read; False if somebody else has read on from where this row was."""
        moved = Log.objects.filter(pk=self.pk, offset=self.offset).update(offset=offset, **fields)
        return moved == 1

    def begin_again(self) -> None:
        """Forget how far it was read: what begins as it did goes on differently."""
        Log.objects.filter(pk=self.pk).update(offset=0, last_line="", last_line_at=0, is_over=False)
        self.refresh_from_db()

    def end(self, now: datetime) -> None:
        """Note that it was read to its end."""
        Log.objects.filter(pk=self.pk).update(is_over=True, read_at=now)


class Miss(models.Model):
    """How often pip looked for one package on one day (UTC) while there was nothing of it."""

    package = models.ForeignKey(Package, models.CASCADE, related_name="misses", db_index=False)
    day = models.DateField()
    count = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "misses"
        constraints = [models.UniqueConstraint(fields=["package", "day"], name="simple_miss_package_day")]
        indexes = [models.Index(fields=["day"], name="simple_miss_day")]

    def __str__(self) -> str:
        return f"{self.package} {self.day}: {self.count}"

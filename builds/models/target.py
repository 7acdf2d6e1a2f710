"""What we build for: a target, whose pip decides which wheels it takes."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Self

from django.core.exceptions import ValidationError
from django.db import models, transaction
from packaging import tags

from builds.wheels import upstream
from builds.wheels.coverage import Need
from packages.batches import BATCH
from packages.models import Package


@cache
def _supported_tags(python: str, abi: str, platforms: tuple[str, ...]) -> frozenset[tags.Tag]:
    """Return the wheel tags for such a target; kept, as they are hundreds and asked for with each wheel."""
    major, minor = (int(part) for part in python.split("."))
    return frozenset(tags.cpython_tags((major, minor), [abi], platforms)) | frozenset(
        tags.compatible_tags((major, minor), f"cp{major}{minor}", platforms)
    )


class TargetQuerySet(models.QuerySet["Target"]):
    """Questions about targets."""

    def active(self) -> Self:
        """Targets that we build for."""
        return self.filter(is_active=True)

    def changed(self) -> Self:
        """Targets that have changed since all packages were planned, of which some are still to be asked."""
        return self.filter(plan_from__isnull=False)


class Target(models.Model):
    """What we build for: an OS release, an architecture and a Python."""

    class Policy(models.TextChoices):
        """Which versions are to have a wheel."""

        GAPS = "gaps", "gaps: what upstream has no wheel of that this target can use"
        EVERYTHING = "everything", "everything, for an index that needs no other beside it"

    key = models.CharField(max_length=60, unique=True, help_text="As trixie-armhf-cp313.")
    os_release = models.CharField(max_length=30, help_text="The release's code name, as trixie.")
    os_name = models.CharField(max_length=60, help_text="What people call it, as Raspberry Pi OS 13.")
    architecture = models.CharField(max_length=20, help_text="As Debian calls it: armhf, arm64, amd64.")
    python = models.CharField(max_length=10, help_text="As 3.13.")
    abi = models.CharField(max_length=20, help_text="As cp313.")
    platform_tags = models.JSONField(
        help_text="The platforms that a wheel built here may name, the builder's own last."
    )
    glibc = models.CharField(max_length=20, blank=True, help_text="The C library's version, as 2.41.")
    glibcxx = models.CharField(
        max_length=20, blank=True, help_text="The newest GLIBCXX version of its libstdc++, as 3.4.33."
    )
    policy = models.CharField(
        max_length=10,
        choices=Policy,
        default=Policy.GAPS,
        db_default=Policy.GAPS,
        help_text="What is built of what there is.",
    )
    is_active = models.BooleanField(
        default=False, help_text="Off: nothing is built, what was built stays in the index."
    )
    order = models.PositiveSmallIntegerField(default=100, help_text="Lower is built and shown first.")
    preinstalled = models.JSONField(
        default=list, blank=True, help_text="apt packages that the OS image has; not shown as needed."
    )
    plan_from = models.BigIntegerField(
        null=True,
        blank=True,
        editable=False,
        help_text="The key from which on packages are to be asked for another plan, as this has changed.",
    )

    objects = TargetQuerySet.as_manager()

    class Meta:
        ordering = ["order", "key"]

    def __str__(self) -> str:
        return self.key

    @property
    def title(self) -> str:
        """The target as a person says it."""
        return f"{self.os_name}, {self.architecture}, Python {self.python}"

    @property
    def platform(self) -> str:
        """The platform as `sysconfig.get_platform()` says it on a builder of this target."""
        return str(self.platform_tags[-1]).replace("_", "-", 1)

    def activate(self) -> None:
        """Build for this target from now on, beginning with what it lacks."""
        self.is_active = True
        self._change("is_active")

    def deactivate(self) -> None:
        """Build for this target no more; what waits for it is dropped."""
        self.is_active = False
        self._change("is_active")

    def ask_anew(self) -> None:
        """Have all packages planned anew, as something of this has changed that decides what is built."""
        self._change()

    def _change(self, *fields: str) -> None:
        """Save what decides what is built; `ask_some` has all packages planned anew, whatever crashes."""
        self.plan_from = 0
        self.save(update_fields=[*fields, "plan_from"])

    @transaction.atomic
    def ask_some(self) -> bool:
        """Ask some more packages for another plan, so few that nobody waits long for one of them.

        False if none is left, or if somebody else is at this target.
        """
        if not self.hold():
            return False
        self.refresh_from_db(fields=["plan_from"])
        if self.plan_from is None:
            return False
        rest = Package.objects.filter(pk__gte=self.plan_from).order_by("pk")
        some = list(rest.values_list("pk", flat=True)[:BATCH])
        # Whoever makes a plan at this moment began it before this target changed, and has taken its wish.
        Package.objects.hold(some)
        Package.objects.filter(pk__in=some, plan_needed=False).update(plan_needed=True)
        self.plan_from = some[-1] + 1 if some else None
        self.save(update_fields=["plan_from"])
        return bool(some)

    def hold(self) -> bool:
        """Keep others from changing this row until the transaction ends; False if somebody else does so."""
        held = Target.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=self.pk)
        return held.values_list("pk").first() is not None

    def note_libraries(self, *, glibc: str, glibcxx: str) -> None:
        """Note which C and C++ libraries the target has; they decide which wheels run there."""
        if (self.glibc, self.glibcxx) != (glibc, glibcxx):
            self.glibc, self.glibcxx = glibc, glibcxx
            if self.is_active:
                self._change("glibc", "glibcxx")
            else:
                self.save(update_fields=["glibc", "glibcxx"])

    def note_preinstalled(self, packages: Iterable[str]) -> None:
        """Note that the OS image has these apt packages, too."""
        both = sorted({*self.preinstalled, *packages})
        if both != self.preinstalled:
            self.preinstalled = both
            self.save(update_fields=["preinstalled"])

    def lacks(self, packages: Iterable[str]) -> list[str]:
        """Return which of these apt packages the OS image does not have, sorted, each once."""
        return sorted(set(packages) - set(self.preinstalled))

    def clean(self) -> None:
        """Refuse what no wheel's tags could be made of."""
        if not re.fullmatch(r"3\.\d{1,2}", self.python):
            raise ValidationError({"python": "Give two numbers, such as 3.13."})
        if not re.fullmatch(r"[a-z0-9]+", self.abi):
            raise ValidationError({"abi": "Give an ABI tag, such as cp313."})
        for field in ("glibc", "glibcxx"):
            if not re.fullmatch(r"(\d{1,4}(\.\d{1,4}){0,3})?", getattr(self, field)):
                raise ValidationError({field: "Give numbers, such as 2.41."})
        tags_given = self.platform_tags if isinstance(self.platform_tags, list) else []
        if not tags_given or not all(
            isinstance(tag, str) and re.fullmatch(r"linux_\w+", tag) for tag in tags_given
        ):
            raise ValidationError({"platform_tags": 'Give a list such as ["linux_armv6l", "linux_armv7l"].'})

    def supported_tags(self) -> frozenset[tags.Tag]:
        """Return the wheel tags that this target's pip takes from us."""
        return _supported_tags(self.python, self.abi, tuple(self.platform_tags))

    @property
    def counts_upstream(self) -> bool:
        """Whether its pips have upstream's index beside ours, so that upstream's wheels serve it too."""
        return self.policy == self.Policy.GAPS

    def served_upstream(self, wheels: Iterable[upstream.UpstreamWheel]) -> list[str]:
        """Return upstream's files that this target needs no other than, if its policy lets them count."""
        return self.takes(wheels) if self.counts_upstream else []

    def takes(self, wheels: Iterable[upstream.UpstreamWheel]) -> list[str]:
        """Return upstream's files that this target's pip takes, the first for each of its machines."""
        machines = upstream.machines(self.python, self.abi, tuple(self.platform_tags), self.glibc)
        return upstream.serving(wheels, machines, self.python)

    def need(self) -> Need:
        """Return what a wheel must be to serve this target."""
        return Need(
            supported=self.supported_tags(),
            python=self.python,
            os_release=self.os_release,
            glibc=self.glibc,
            glibcxx=self.glibcxx,
        )

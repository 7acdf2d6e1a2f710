"""What came out of builds: wheels."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Left, Now
from packaging import tags
from packaging.utils import parse_wheel_filename

from builds import statements
from builds.models.build import Build
from builds.models.target import Target
from builds.wheels.coverage import Offer, replaces
from packages.models import Package, Version

if TYPE_CHECKING:
    from builds.models.dependency import Dependency


class WheelQuerySet(models.QuerySet["Wheel"]):
    """Questions about wheels."""

    def listed(self) -> Self:
        """Wheels that the index shows."""
        return self.filter(withdrawn_at=None, held_reason="")

    def held(self) -> Self:
        """Wheels that a person must look at before the index shows them."""
        return self.filter(~Q(held_reason=""), withdrawn_at=None)

    def standing(self) -> Self:
        """Wheels that the index shows, or may show once a person has looked."""
        return self.filter(withdrawn_at=None)

    def sourced(self) -> Self:
        """Wheels of what upstream has now: a source that it still lists, under this owner of the name.

        Whoever registers a name anew need not be whom the wheels from before are of.
        """
        anew = F("package__registered_anew_at")
        same_owner = Q(package__registered_anew_at=None) | Q(published_at__gte=anew)
        has_source = Q(build__source=None) | Q(build__source__gone_at=None)
        return self.filter(same_owner, has_source, version__gone_at=None)

    def below(self, prefix: str, after: str = "") -> Self:
        """Wheels whose hashes begin with these two digits and come after that one, in their order."""
        found = self.annotate(prefix=Left("sha256", 2)).filter(prefix=prefix, sha256__gt=after)
        return found.order_by("sha256", "pk")

    def to_remove(self) -> Self:
        """Wheels that were taken down and whose bytes may still be somewhere."""
        return self.filter(taken_down_at__isnull=False, removed_at=None)

    def is_taken_down(self, filename: str) -> bool:
        """Tell whether the wheel of that name was taken down, so that nothing may have it again."""
        return statements.is_taken_down(filename)

    def remove_again(self, filename: str) -> None:
        """Have the bytes removed once more of the wheel of that name, if it was taken down."""
        self.filter(filename=filename, taken_down_at__isnull=False).update(removed_at=None)

    def restore(self, filename: str) -> bool:
        """Show a wheel again whose file was lost, as its very bytes are back; False if it was not lost."""
        lost = self.filter(filename=filename, lost_at__isnull=False)
        wheel = lost.select_related("package", "build__target").first()
        if wheel is None:
            return False
        return wheel.come_back()

    def note_yank(self, *, yanked: bool) -> None:
        """Have many wheels yanked, or no more, as another farm had them, which gives no reasons."""
        self.update(yanked=yanked, yanked_reason="")

    def of_version(self, version: Version) -> Self:
        """Wheels of a version, in whatever way upstream spells it: they have the same names."""
        return self.filter(package=version.package_id, version__canonical=version.canonical)

    def names(self, version: int) -> list[tuple[str, bool]]:
        """Return the names that were ever given to wheels of a version, and whether by upstream.

        However the version is spelled.
        """
        return statements.names(version)

    def published(self, filename: str) -> tuple[int, str] | None:
        """Return the build that gave a file of this name its bytes, and their sha256."""
        return statements.published(filename)


class Wheel(models.Model):
    """A file that came out of a build.

    A row is never deleted and its bytes never change: a name that was once given to a file is never given
    to another, as on PyPI.
    """

    # What operators, rebuilds and faults of the storage decide of a file.
    _STANDING = ("yanked", "held_reason", "withdrawn_at", "lost_at", "taken_down_at", "superseded_by")

    build = models.ForeignKey(Build, models.PROTECT, related_name="wheels")
    package = models.ForeignKey(Package, models.PROTECT, related_name="wheels")
    version = models.ForeignKey(Version, models.PROTECT, related_name="wheels")
    filename = models.CharField(max_length=255, unique=True)
    size = models.BigIntegerField(help_text="Bytes.")
    sha256 = models.CharField(max_length=64)
    metadata_sha256 = models.CharField(max_length=64, help_text="Of METADATA, as served beside the file.")
    content_sha256 = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="Of what it installs, whatever its build tag; empty: from before this was noted.",
    )
    requires_python = models.CharField(max_length=255, blank=True)
    glibc = models.CharField(max_length=20, blank=True, help_text="The least C library that it runs with.")
    glibcxx = models.CharField(max_length=20, blank=True, help_text="The least libstdc++, as GLIBCXX has it.")
    is_portable = models.BooleanField(
        default=False,
        help_text="Needs nothing of the system but the C and C++ libraries, so newer releases run it too.",
    )
    reproducible = models.BooleanField(
        null=True, blank=True, help_text="Whether a second build gave the same bytes; empty: not tried."
    )
    trial = models.CharField(
        max_length=7, blank=True, help_text="Whether it works where only its own dependencies are."
    )
    trial_detail = models.TextField(blank=True, help_text="What was imported, or what went wrong.")
    held_reason = models.TextField(
        blank=True, help_text="Why a person must look before the index shows it; empty: shown."
    )
    published_at = models.DateTimeField(db_default=Now())
    yanked = models.BooleanField(default=False, help_text="By us; upstream's yank is the version's.")
    yanked_reason = models.TextField(blank=True)
    superseded_by = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="supersedes",
        db_index=False,
        help_text="The rebuild that took its place, for which it was yanked.",
    )
    withdrawn_at = models.DateTimeField(null=True, blank=True, help_text="Since when it is not shown.")
    withdrawn_reason = models.TextField(blank=True, db_default="")
    lost_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Withdrawn as its file was lost or spoilt; the same bytes bring it back.",
    )
    taken_down_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when its bytes must be nowhere; nothing gets its name again."
    )
    removed_at = models.DateTimeField(null=True, blank=True, help_text="When the last of its bytes went.")

    objects = WheelQuerySet.as_manager()

    class Meta:
        ordering = ["filename"]
        constraints = [
            models.CheckConstraint(
                condition=Q(sha256__regex=r"^[0-9a-f]{64}\Z"), name="builds_wheel_sha256_hex"
            ),
            models.CheckConstraint(condition=Q(size__gt=0), name="builds_wheel_not_empty"),
            models.CheckConstraint(
                condition=Q(taken_down_at=None) | Q(withdrawn_at__isnull=False, lost_at=None),
                name="builds_wheel_taken_down_is_withdrawn",
            ),
            models.CheckConstraint(
                condition=Q(lost_at=None) | Q(withdrawn_at__isnull=False),
                name="builds_wheel_lost_is_withdrawn",
            ),
        ]
        indexes = [
            models.Index(
                fields=["package"], condition=Q(withdrawn_at=None, held_reason=""), name="builds_wheel_listed"
            ),
            models.Index(
                fields=["id"], condition=~Q(held_reason="") & Q(withdrawn_at=None), name="builds_wheel_held"
            ),
            # How the storage is checked: 256 parts, of which each is a listing of a folder.
            models.Index(Left("sha256", 2), name="builds_wheel_prefix"),
            models.Index(
                fields=["taken_down_at"],
                condition=Q(taken_down_at__isnull=False, removed_at=None),
                name="builds_wheel_to_remove",
            ),
            models.Index(
                fields=["superseded_by"],
                condition=Q(superseded_by__isnull=False),
                name="builds_wheel_superseded",
            ),
        ]

    def __str__(self) -> str:
        return self.filename

    @property
    def is_yanked_by_hand(self) -> bool:
        """Whether an operator yanked it, and not a rebuild that took its place."""
        return self.yanked and self.superseded_by_id is None

    @property
    def path(self) -> str:
        """Where the file is in the storage; made of its hash, so that no other file can be there."""
        return f"{self.sha256[:2]}/{self.sha256}/{self.filename}"

    @property
    def metadata_path(self) -> str:
        """Where the copy of its METADATA is in the storage."""
        return f"{self.path}.metadata"

    @property
    def provenance_path(self) -> str:
        """Where the statement of what it was made of is in the storage; each build has its own."""
        return f"{self.path}.{self.build_id}.provenance"

    @property
    def paths(self) -> tuple[str, str]:
        """Where its bytes are in the storage: the file, and what was copied out of it."""
        return self.path, self.metadata_path

    @property
    def provenance_url(self) -> str:
        """The path that the statement is served at, for ever."""
        return f"/builds/{self.build_id}/provenance/{self.filename}.json"

    @property
    def url(self) -> str:
        """The path that the file is served at, for ever."""
        return f"/simple/{self.package.name}/{self.filename}"

    def tags(self) -> frozenset[tags.Tag]:
        """Return the tags in the file's name."""
        return parse_wheel_filename(self.filename)[3]

    @property
    def has_build_tag(self) -> bool:
        """Whether its name has a sixth part (PEP 427)."""
        return self.filename.count("-") == 5

    def build_tag(self) -> tuple[int, str] | tuple[()]:
        """Return the build tag in the file's name, as installers compare it."""
        return parse_wheel_filename(self.filename)[2]

    def offer(self) -> Offer:
        """Return what decides which targets this file serves."""
        return Offer(
            tags=self.tags(),
            requires_python=self.requires_python,
            os_release=self.build.target.os_release,
            is_portable=self.is_portable,
            glibc=self.glibc,
            glibcxx=self.glibcxx,
        )

    def publish(self) -> None:
        """Insert this row: the index shows the file from the end of the transaction on."""
        self.pk = statements.insert_wheel({column: getattr(self, column) for column in statements.WHEEL})

    def depend_on(self, needs: "Sequence[tuple[Dependency.Tool, str, str]]") -> None:
        """Note what must be there for this file to work: tool, name, requirement; each is kept once."""
        statements.depend(self.pk, needs)

    @transaction.atomic
    def yank(self, reason: str) -> None:
        """Ask installers not to choose this file unless they are told to (PEP 592).

        An operator's word outlasts the rebuild that may have taken its place before.
        """
        self._hold()
        self._show(yanked=True, yanked_reason=reason, superseded_by=None)

    @transaction.atomic
    def unyank(self) -> None:
        """Take the yank back; one that a rebuild has replaced stands beside it then, as somebody wants it."""
        self._hold()
        is_wanted_beside = self.superseded_by_id is not None
        self._show(yanked=False, yanked_reason="", superseded_by=None)
        if not is_wanted_beside:
            self._take_place()

    def supersede(self, by: "Wheel") -> None:
        """Have installers take the rebuild; the file stays, for lock files that have its hash."""
        reason = f"it was built anew, and {by.filename} replaces it"
        self._show(yanked=True, yanked_reason=reason, superseded_by=by)

    @transaction.atomic
    def release(self) -> bool:
        """Show this file, as a person has looked at it; False if somebody has taken it out meanwhile."""
        self._hold()
        if self.withdrawn_at:
            return False
        self._show(held_reason="")
        self._take_place()
        return True

    def withdraw(self, now: datetime, reason: str = "") -> None:
        """Take this file out of the index; who has read a page with it can download it for a day."""
        self._take_out(now, reason, lost_at=None)

    def distrust(self, now: datetime, reason: str) -> None:
        """Take this file out of the index and out of reach at once, as it may do harm."""
        self._take_out(now, reason, lost_at=None, held_reason=reason)

    def lose(self, now: datetime, reason: str) -> None:
        """Take this file out of the index, as what is stored is not what it was."""
        self._take_out(now, reason, lost_at=now)

    def take_down(self, now: datetime, reason: str) -> None:
        """Take this file out of the index for good; `builds.files.takedown` removes its bytes."""
        self._take_out(now, reason, lost_at=None, taken_down_at=now, removed_at=None)

    def note_removed(self, now: datetime | None) -> None:
        """Note that the bytes are gone, or with None that there are some again."""
        self.removed_at = now
        self.save(update_fields=["removed_at"])

    @transaction.atomic
    def come_back(self) -> bool:
        """Show this file again, as its very bytes are back; False if it is no longer lost.

        Others may have taken its place meanwhile.
        """
        self._hold()
        if not self.lost_at:
            return False
        self._show(withdrawn_at=None, withdrawn_reason="", lost_at=None)
        self._take_place()
        # What waits for targets that it serves again is needed no more.
        self.package.request_plan()
        return True

    @transaction.atomic
    def _take_out(self, now: datetime, reason: str, **fields: object) -> None:
        """Take this file out of the index; what it had superseded is what installers take again.

        Other targets that it served get builds of their own; its own has been built, and what came of that is
        what somebody does not want.  Nothing, if it was taken down meanwhile.
        """
        self._hold()
        if self.taken_down_at:
            return
        self._show(withdrawn_at=now, withdrawn_reason=reason, **fields)
        heir = self.superseded_by
        for wheel in self.supersedes.select_related("package", "build__target"):
            if heir and heir.withdrawn_at is None:
                wheel.supersede(heir)
            else:
                wheel._show(yanked=False, yanked_reason="", superseded_by=None)
                wheel._take_place()
        self.package.request_plan()

    def _hold(self) -> None:
        """Keep others from changing the package until the transaction ends, and read how this file stands."""
        self.package.hold()
        self.refresh_from_db(fields=[*self._STANDING])

    def _take_place(self) -> None:
        """Stand among the other wheels as if all had come in the order of their build tags."""
        if self.yanked or self.held_reason or self.withdrawn_at:
            return
        self.take_over()
        later = [each for each in self._rivals() if each.build_tag() > self.build_tag()]
        rebuilds = [each for each in later if not each.held_reason and each._replaces(self)]
        if rebuilds:
            self.supersede(max(rebuilds, key=Wheel.build_tag))

    def take_over(self) -> None:
        """Yank the earlier wheels that this rebuild replaces, if it is one."""
        if not self.has_build_tag:
            return
        for wheel in self._rivals():
            if wheel.build_tag() < self.build_tag() and self._replaces(wheel):
                wheel.supersede(self)

    def _rivals(self) -> "list[Wheel]":
        """Return the wheels of other builds that installers may choose now, of the same tags or target."""
        others = Wheel.objects.of_version(self.version).standing().sourced().filter(yanked=False)
        others = others.exclude(build=self.build_id).select_related("build__target", "package")
        return [
            other
            for other in others
            if other.tags() == self.tags() or other.build.target_id == self.build.target_id
        ]

    def _replaces(self, earlier: "Wheel") -> bool:
        """Tell whether this file serves every machine of a target that an earlier one serves."""
        needs = [target.need() for target in (*Target.objects.active(), earlier.build.target)]
        return replaces(self.offer(), earlier.offer(), needs)

    def _show(self, **fields: object) -> None:
        """Set fields that the index shows."""
        for field, value in fields.items():
            setattr(self, field, value)
        self.save(update_fields=list(fields))
        self.package.mark_changed()

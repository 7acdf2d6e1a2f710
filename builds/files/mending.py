"""What can be done about a fault of the storage, when an operator says so.

Nothing is deleted but what a crash left half written, and what was taken down: the rest is set aside.
"""

import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.core.files.base import ContentFile
from django.db import transaction

from builds.files import takedown
from builds.files.checking import Fault, Kind
from builds.files.storage import Holder, stored_sha256
from builds.files.stored import GRACE, LOST_AND_FOUND, log_build, wheel_file
from builds.models import Build, Wheel
from packages.legible import legible
from packages.models import Package

# The longest METADATA that is published is shorter.
_LARGEST_METADATA = 4 << 20


@dataclass
class Mender:
    """Does what can be done, and withdraws no more wheels than it may.

    Many lost wheels are rather one lost disk, which nobody would want to build anew.
    """

    holder: Holder
    before: Holder | None
    now: datetime
    may_withdraw: int

    def mend(self, fault: Fault) -> str:
        """Return what was done about a fault, or why nothing was."""
        if fault.kind is Kind.TEMPORARY:
            self.holder.delete(fault.name)
            return "removed"
        if fault.kind is Kind.STRANGER:
            return self._set_aside(fault.name)
        wheel = fault.wheel
        if wheel is None or fault.kind is Kind.UNREADABLE:
            # What a disk or its rights keep from us now may be whole.
            return "left"
        if fault.kind is Kind.TAKEN_DOWN:
            takedown.remove(wheel, self.now)
            return "removed"
        if fault.kind is Kind.FOUND:
            return self._show(wheel)
        return self._bring_back(fault.name, wheel)

    def _set_aside(self, name: str) -> str:
        """Move a file without a row to where it does no harm, unless it has one by now."""
        if _has_row(name):
            return "left, as it has a row by now"
        # Whoever publishes writes an old one anew, and its row comes after it.
        if self.now - self.holder.get_modified_time(name) < GRACE:
            return "left, as it was just written"
        aside = f"{LOST_AND_FOUND}/{name}"
        self.holder.rename(name, aside)
        if _has_row(name):
            self.holder.rename(aside, name)
            return "left, as it has a row by now"
        return f"moved to {legible(aside)}"

    def _show(self, wheel: Wheel) -> str:
        """Show a wheel again whose file is back."""
        with transaction.atomic():
            wheel.package.mark_changed()
            is_lost = Wheel.objects.restore(wheel.filename)
        return "shown again" if is_lost else "left"

    def _bring_back(self, name: str, wheel: Wheel) -> str:
        """Restore a file that is missing or spoilt from where it may still be, or withdraw its wheel."""
        done = self._restored(name, wheel)
        if done:
            # Of a file that was replaced, the index may still have the spoilt one.
            Package.objects.show_anew([wheel.package_id])
            return done
        if name == wheel.provenance_path:
            return "left, as nothing else tells what the wheel was made of; its file is not touched by that"
        return self._withdrawn(name, wheel)

    def _restored(self, name: str, wheel: Wheel) -> str:
        """Bring a file back; "" if it is nowhere."""
        sha256 = {wheel.path: wheel.sha256, wheel.metadata_path: wheel.metadata_sha256}.get(name, "")
        for place, there in self._elsewhere(name):
            if _is_good(place, there, sha256):
                with place.open(there) as file:
                    self.holder.save(name, file)
                return f"restored from {there if place is self.holder else place.said()}"
        if name == wheel.metadata_path and (content := self._metadata(wheel)):
            self.holder.save(name, ContentFile(content))
            return "restored from the wheel"
        return ""

    def _elsewhere(self, name: str) -> Iterator[tuple[Holder, str]]:
        """Give the places where a file may be, too."""
        if self.before:
            yield self.before, name
        yield self.holder, f"{LOST_AND_FOUND}/{name}"

    def _metadata(self, wheel: Wheel) -> bytes:
        """Return the METADATA in a wheel, if it is the very one that is missing."""
        if not _is_good(self.holder, wheel.path, wheel.sha256):
            return b""
        with self.holder.open(wheel.path) as file, zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                is_one = member.filename.count("/") == 1 and member.filename.endswith(".dist-info/METADATA")
                # A wheel that was imported may have those of other packages, too.
                if is_one and member.file_size <= _LARGEST_METADATA:
                    content = archive.read(member)
                    if hashlib.sha256(content).hexdigest() == wheel.metadata_sha256:
                        return content
        return b""

    def _withdrawn(self, name: str, wheel: Wheel) -> str:
        """Take a wheel out of the index and queue it to be built again, as its bytes are lost."""
        with transaction.atomic():
            wheel.package.hold()
            if Wheel.objects.filter(pk=wheel.pk, withdrawn_at__isnull=False).exists():
                return "withdrawn already"
            if self.may_withdraw <= 0:
                return "left, as no more wheels may be withdrawn in one go: see --withdraw"
            self.may_withdraw -= 1
            wheel.lose(self.now, f"Its file in the storage was lost or spoilt: {name}")
            build = wheel.build
            if not build.has_open_successor():
                why = f"The file of {wheel.filename} was lost."
                build.again(losses=0, priority=build.priority, why=why)
        return "withdrawn, and queued to be built again"


def _is_good(place: Holder, name: str, sha256: str) -> bool:
    """Tell whether a file is there, and with these bytes if it is known which."""
    try:
        return stored_sha256(place, name) == sha256 if sha256 else place.size(name) > 0
    except FileNotFoundError:
        return False


def _has_row(name: str) -> bool:
    """Tell whether a file belongs to a row."""
    if of := wheel_file(name):
        return Wheel.objects.filter(filename=of.filename, sha256=of.sha256).exists()
    build = log_build(name)
    return build is not None and Build.objects.filter(pk=build).exists()

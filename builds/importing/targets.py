"""Which target of ours an ABI of theirs is, and who the builders were.

Their one word for a target is the ABI, as each release of Raspberry Pi OS has another Python; all are for the
32-bit systems.  Their builders have numbers alone, which begin anew with each start of their master.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from builds.models import Builder, Target
from packages.importing.original import NotReadable, Original

ARCHITECTURE = "armhf"
PLATFORMS = ["linux_armv6l", "linux_armv7l"]
NAME = "imported-{}"
# A farm's master gives a number to each builder that says hello; what is more than this has one name.
MOST_BUILDERS = 500


@dataclass(frozen=True)
class Release:
    """What an ABI of theirs means."""

    os_release: str
    os_name: str
    python: str
    order: int
    glibc: str
    glibcxx: str


# As their project pages name them; the libraries are those of Debian's release of the same name.
RELEASES = {
    "cp313": Release("trixie", "Raspberry Pi OS 13", "3.13", 10, "2.41", "3.4.33"),
    "cp311": Release("bookworm", "Raspberry Pi OS 12", "3.11", 20, "2.36", "3.4.30"),
    "cp39": Release("bullseye", "Raspberry Pi OS 11", "3.9", 30, "2.31", "3.4.28"),
    "cp37m": Release("buster", "Raspberry Pi OS 10", "3.7", 40, "2.28", "3.4.25"),
    "cp35m": Release("stretch", "Raspbian 9", "3.5", 50, "2.24", "3.4.22"),
    "cp34m": Release("jessie", "Raspbian 8", "3.4", 60, "2.19", "3.4.20"),
}


# Those that are built for, and those that were: nothing there keeps the ABI of a build among the first.
_ABIS = "SELECT abi_tag FROM build_abis UNION SELECT abi_tag FROM builds ORDER BY abi_tag"


def of_abis(original: Original, named: Mapping[str, str], *, is_dry: bool) -> dict[str, Target]:
    """Return the target of each of their ABIs, made where it is not there; none is built for by this.

    `named` are those that an operator has chosen, by ABI.  Raises NotReadable for an ABI that has none.
    """
    abis = [abi for (abi,) in original.page(_ABIS)]
    if unknown := [abi for abi in abis if abi not in RELEASES and abi not in named]:
        raise NotReadable(
            f"Nothing is known of the ABI {', '.join(unknown)}: say with --target ABI=KEY which target it is,"
            " and make that in the admin first."
        )
    targets = {abi: _chosen(named[abi]) for abi in sorted(named)}
    targets |= {abi: _shipped(abi, is_dry=is_dry) for abi in RELEASES if abi in abis and abi not in named}
    if not is_dry:
        _note_preinstalled(original, targets)
    return targets


def _chosen(key: str) -> Target:
    """Return the target of that key."""
    try:
        return Target.objects.get(key=key)
    except Target.DoesNotExist as error:
        keys = ", ".join(Target.objects.values_list("key", flat=True))
        raise NotReadable(f"There is no target {key}: make it in the admin, or choose of {keys}.") from error


def _shipped(abi: str, *, is_dry: bool) -> Target:
    """Return the target that an ABI of a release of Raspberry Pi OS means."""
    release = RELEASES[abi]
    key = f"{release.os_release}-{ARCHITECTURE}-{abi}"
    facts = {
        **vars(release),
        "architecture": ARCHITECTURE,
        "abi": abi,
        "platform_tags": PLATFORMS,
    }
    if is_dry:
        return Target.objects.filter(key=key).first() or Target(key=key, **facts)
    return Target.objects.get_or_create(key=key, defaults=facts)[0]


def _note_preinstalled(original: Original, targets: Mapping[str, Target]) -> None:
    """Take over which apt packages the OS images have."""
    found: dict[str, list[str]] = {}
    for abi, package in original.page("SELECT abi_tag, apt_package FROM preinstalled_apt_packages"):
        found.setdefault(abi, []).append(package)
    for abi, packages in found.items():
        if abi in targets:
            targets[abi].note_preinstalled(packages)


@dataclass
class Builders:
    """Their builders as rows of ours: switched off, and with a key that nobody has."""

    now: datetime
    _known: dict[int, Builder] = field(default_factory=dict)

    def of(self, number: int, target: Target) -> Builder:
        """Return the builder of a number."""
        if number not in self._known:
            self._known[number] = self._find_or_make(number, target)
        return self._known[number]

    def _find_or_make(self, number: int, target: Target) -> Builder:
        name = NAME.format(number)
        if found := Builder.objects.filter(name=name).first():
            return found
        if Builder.objects.filter(name__startswith=NAME.format("")).count() >= MOST_BUILDERS:
            name, number = NAME.format("others"), -1
            if found := Builder.objects.filter(name=name).first():
                return found
        builder = Builder(
            name=name,
            target=target,
            is_enabled=False,
            mode=Builder.Mode.STOPPED,
            mode_reason=(
                "Imported: a number that piwheels.org's software gave to a builder. It gives the same one to"
                " others after a start, so this may have been several machines."
            ),
            mode_at=self.now,
        )
        builder.rekey()
        builder.save()
        return builder

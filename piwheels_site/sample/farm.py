"""Who builds in the sample: its targets, and a row of Pis of every mood."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from builder.contract import CONTRACT, BuilderFacts
from builds.models import Builder, Target
from builds.models.token import digest

_GIB = 1 << 30
_MODELS = {
    1: "Raspberry Pi 3 Model B Plus Rev 1.3",
    4: "Raspberry Pi 4 Model B Rev 1.4",
    8: "Raspberry Pi 4 Model B Rev 1.5",
    16: "Raspberry Pi 5 Model B Rev 1.1",
}
_VERSIONS = {"pip": "26.3", "celery": "5.7.0", "builder": "0.1.0"}

# Since when the farm builds for a target, in days, the newest last; those that are over ended 200 days ago.
BEGAN = {
    "bullseye-armhf-cp39": 900,
    "bookworm-armhf-cp311": 420,
    "bookworm-arm64-cp311": 400,
    "trixie-armhf-cp313": 110,
    "trixie-arm64-cp313": 35,
}
ENDED = 200
_OVER = "bullseye-armhf-cp39"


@dataclass(frozen=True)
class _Pi:
    name: str
    target: str
    gib: int
    # What is the matter with it; "" for nothing.
    mood: str = ""


PIS = [
    _Pi("pi-01", "trixie-armhf-cp313", 4),
    _Pi("pi-02", "trixie-armhf-cp313", 8),
    _Pi("pi-03", "trixie-armhf-cp313", 1),
    _Pi("pi-04", "trixie-arm64-cp313", 16),
    _Pi("pi-05", "trixie-arm64-cp313", 8),
    _Pi("pi-06", "bookworm-armhf-cp311", 4),
    _Pi("pi-07", "bookworm-armhf-cp311", 4, "draining"),
    _Pi("pi-08", "bookworm-arm64-cp311", 8),
    _Pi("pi-09", "trixie-armhf-cp313", 4, "quarantined"),
    _Pi("pi-10", "bookworm-arm64-cp311", 4, "silent"),
    _Pi("pi-11", "trixie-arm64-cp313", 4, "full"),
    _Pi("pi-12", "bookworm-armhf-cp311", 1, "paused"),
    _Pi("pi-old-1", "bullseye-armhf-cp39", 1, "retired"),
]


def write(seed: int, now: datetime) -> tuple[list[Target], list[Builder]]:
    """Write the targets that the farm has built for, and its builders."""
    # Their rows come with the migrations.
    Target.objects.filter(key__in=BEGAN).exclude(key=_OVER).update(is_active=True)
    targets = {target.key: target for target in Target.objects.filter(key__in=BEGAN)}
    builders = [_builder(pi, targets[pi.target], seed, now) for pi in PIS]
    return list(targets.values()), Builder.objects.bulk_create(builders)


def _builder(pi: _Pi, target: Target, seed: int, now: datetime) -> Builder:
    """Return the row of a builder."""
    chance = Random(f"{seed}/builder/{pi.name}")
    heard_at = now - timedelta(seconds=chance.uniform(0, 9))
    row = Builder(
        name=pi.name,
        target=target,
        # Nobody knows what has this digest, so nobody can speak for it.
        token_hash=digest(f"{chance.getrandbits(256):x}"),
        created_at=now - timedelta(days=BEGAN[target.key] + 1),
        size=Builder.size_of(pi.gib * _GIB * 15 // 16),
        sandbox="full",
        heard_at=heard_at,
        facts=vars(facts(pi.name, target, pi.gib, heard_at, chance)),
    )
    _be_moody(row, pi.mood, now)
    return row


def _be_moody(row: Builder, mood: str, now: datetime) -> None:
    """Have something be the matter with a builder."""
    if mood == "silent":
        row.heard_at = now - timedelta(hours=2, minutes=11)
    elif mood == "full":
        row.problem = "Its disk has 0.4 GB left and a build needs 2 GB: make room, or give it a larger card."
        row.facts |= {"disk_free_bytes": 400_000_000}
    elif mood == "retired":
        row.is_enabled, row.mode = False, Builder.Mode.STOPPED
        row.mode_reason, row.mode_at = "Its release is read-only.", now - timedelta(days=ENDED)
        row.heard_at = now - timedelta(days=ENDED)
    elif mood:
        row.mode, row.mode_at = mood, now - timedelta(hours=7)
        row.mode_reason = {
            "draining": "admin: it gets a new fan.",
            "paused": "admin: the room is too hot.",
            "quarantined": "It failed 5 builds in a row that others have built: look at its disk and memory.",
        }[mood]


def facts(name: str, target: Target, gib: int, now: datetime, chance: Random, build: int = 0) -> BuilderFacts:
    """Return what a builder says of itself: warm and loaded when it builds."""
    memory, disk = gib * _GIB * 15 // 16, (32 if gib < 4 else 128) * 10**9
    is_busy = build > 0
    return BuilderFacts(
        contract=CONTRACT,
        python=target.python,
        platform=target.platform,
        os_release=target.os_release,
        model=_MODELS[gib],
        memory_bytes=memory,
        memory_free_bytes=int(memory * (chance.uniform(0.1, 0.5) if is_busy else chance.uniform(0.7, 0.85))),
        swap_bytes=2 * _GIB,
        swap_free_bytes=int(2 * _GIB * (chance.uniform(0.5, 1) if is_busy else 1)),
        disk_bytes=disk,
        disk_free_bytes=int(disk * Random(name).uniform(0.3, 0.8)),
        load=round(chance.uniform(2.6, 4.4) if is_busy else chance.uniform(0, 0.3), 2),
        temperature_c=round(chance.uniform(58, 77) if is_busy else chance.uniform(38, 47), 1),
        clock=now.timestamp(),
        sandbox="full",
        sandbox_lacks=(),
        problems=(),
        build=build,
        versions=_VERSIONS,
    )

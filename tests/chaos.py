"""A stack that publishes all the time, and who kills its parts at random moments."""

import contextlib
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

from deploy import farm as miniature
from tests import services
from tests.fake_pypi import FakePyPI
from tests.operators import KEPT, Operators
from tests.readers import Reader
from tests.stack import Production

# How long a link is good after the last page that has it, as `Shown.LINGER` says.
LINGER_S = 86400.0
# What happens, as often as it is here.
ACTS = (
    *("release", "release", "rebuild", "release", "withdraw", "release", "rebuild", "yank", "release"),
    *("rebuild", "release", "take_down", "rebuild", "unyank", "release", "yank upstream", "rebuild"),
    *("release", "yank", "rebuild", "release", "unyank upstream", "release", "remove upstream", "rebuild"),
)
# What may befall a process: it ends; one of those that it has started ends; it stands still, and ends; it
# stands still for longer than its lease, and goes on.
KILL, MAIM, FREEZE, PAUSE = "kill", "part", "freeze", "pause"
PAUSED_S = 10.0


@dataclass(frozen=True)
class Size:
    """How much is done."""

    packages: int
    builds: int
    pause_s: float  # between two things that are published
    # What befalls whom in a round, in any order, as often as it is here; `builder` is one of them.
    round: Sequence[tuple[str, str]]
    rounds: int
    between_s: tuple[float, float]  # from one to the next
    builders: int = 3
    web_processes: int = 2
    second_beat: bool = False
    bug: str = ""  # of `with_bug`, or its haste, that its web server and worker have


class Staffed(Production):
    """A farm with builders that need no time, each a process."""

    def __init__(self, folder: Path, upstream: str, size: Size) -> None:
        super().__init__(folder, upstream, "all", web_processes=size.web_processes)
        self._second_beat, self._bug = size.second_beat, size.bug
        self._builders: dict[str, dict[str, str]] = {}

    def hire(self, name: str, token: str, pause_s: float, **own: str) -> None:
        """Have one more builder, which waits so long before each report, with settings of its own."""
        self._builders[name] = miniature.builder_settings(self.env, self.nginx.url) | {
            "PIWHEELS_BUILDER": name,
            "PIWHEELS_BUILDER_TOKEN": token,
            "QUICK_PAUSE_S": str(pause_s),
            **own,
        }
        Path(self._builders[name]["PIWHEELS_WORK"]).mkdir(exist_ok=True)
        self.start(name)

    @property
    def builders(self) -> list[str]:
        """The names of the builders."""
        return list(self._builders)

    def commands(self) -> dict[str, list[str]]:
        """Return what it consists of."""
        found = super().commands()
        if self._bug:
            # python -m celery ... as python -m tests.faults.with_bug BUG celery ...
            for name in ("web", "worker"):
                found[name][2:2] = ["tests.faults.with_bug", self._bug]
        if self._second_beat:
            found["beat-2"] = [*found["beat"], "--schedule", str(self.var / "beat-2")]
        return found | {name: [sys.executable, "-m", "tests.quick_builders"] for name in self._builders}

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment of one of the processes."""
        return self._builders.get(name) or super().environment(name)

    def told(self) -> list[tuple[str, str]]:
        """Return what the builders say: that they published a file, or that something is wrong."""
        logs = [(self.var / f"{name}.log").read_text() for name in self._builders]
        lines = [line.partition(" ") for log in logs for line in log.splitlines()]
        return [(kind, what) for kind, _, what in lines if kind in ("published", "fault")]

    def ended_by_themselves(self) -> list[str]:
        """Return the processes that are not there, whoever ended them."""
        return [name for name, process in list(self.processes.items()) if process.poll() is not None]

    def revive(self) -> None:
        """Start again what has ended, as systemd does it."""
        for name in self.ended_by_themselves():
            self.bring_back(name)


class Killer(threading.Thread):
    """Lets things befall the parts of a farm at random moments, several at once, and brings them back."""

    def __init__(self, world: "World", seed: int) -> None:
        super().__init__(daemon=True)
        self.world, self.farm, self.size = world, world.farm, world.size
        self.chance = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.faults: list[BaseException] = []
        self._ended = threading.Event()
        self._busy: set[str] = set()

    def __enter__(self) -> "Killer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join(180)

    @property
    def kills(self) -> int:
        """How often something was killed."""
        return sum(times for what, times in self.done.items() if not what.endswith((PAUSE, "by itself")))

    def run(self) -> None:
        """Go on until it is told to end, or all rounds are over."""
        try:
            with ThreadPoolExecutor(20) as pool:
                for number in range(self.size.rounds):
                    for who, what in self.chance.sample(self.size.round, len(self.size.round)):
                        self._next(pool, who, what)
                    self._let_build(pool, self.size.builds * (number + 1) // self.size.rounds)
        except BaseException as fault:
            self.faults.append(fault)

    def _next(self, pool: ThreadPoolExecutor, who: str, what: str) -> None:
        """Wait for a moment, and for somebody to whom it can be done; then let it befall them."""
        self._ended.wait(self.chance.uniform(*self.size.between_s))
        while not self._ended.is_set():
            self._revive(pool)
            able = set(self.farm.builders if who == "builder" else [who]) - self._busy
            if able:
                victim = self.chance.choice(sorted(able))
                self._submit(pool, victim, what, self.chance.random())
                self.done[f"{who} {what}"] += 1
                return
            self._ended.wait(0.05)

    def _let_build(self, pool: ThreadPoolExecutor, builds: int) -> None:
        """Wait until so much was built: what is killed faster than it starts does nothing at all."""
        while self.world.built() < builds and not self._ended.wait(0.2):
            self._revive(pool)

    def _revive(self, pool: ThreadPoolExecutor) -> None:
        """Start again what has ended by itself, as systemd does it."""
        # Whoever was busy a moment ago may have brought back what has ended since then.
        busy = set(self._busy)
        for name in self.farm.ended_by_themselves():
            if name not in busy:
                self.done[f"{name} by itself"] += 1
                self._submit(pool, name, "by itself", 0.0)

    def _submit(self, pool: ThreadPoolExecutor, victim: str, what: str, chance: float) -> None:
        self._busy.add(victim)
        pool.submit(self._befall, victim, what, chance)

    def _befall(self, victim: str, what: str, chance: float) -> None:
        """Let something befall a process, and bring it back."""
        try:
            if what == MAIM:
                self.farm.maim(victim, int(chance * 100))
            elif what == PAUSE:
                with self.farm.frozen(victim):
                    time.sleep(PAUSED_S)
            else:
                self._end(victim, what, chance)
                self.farm.bring_back(victim)
        except BaseException as fault:
            self.faults.append(fault)
        finally:
            self._busy.discard(victim)

    def _end(self, victim: str, what: str, chance: float) -> None:
        """End a process, and wait for a moment."""
        if what == FREEZE:
            with self.farm.frozen(victim):
                time.sleep(2 * chance)
                self.farm.kill(victim)
        elif what == KILL:
            self.farm.kill(victim)
        time.sleep(chance / 2)


@dataclass
class World:
    """Upstream, its farm, those who build for it and those who work at it."""

    # So many builds may wait; more would only keep what came last from being published.
    AT_ONCE = 10

    size: Size
    upstream: FakePyPI
    farm: Staffed
    operators: Operators
    chance: random.Random
    names: list[str] = field(init=False)
    acts: int = 0
    asked: int = 0
    taken_down: set[str] = field(default_factory=set)
    released: dict[str, int] = field(default_factory=dict)
    # The reason of the last rebuild of a version that was accepted: it takes the place of one that waits.
    wishes: dict[tuple[str, str], str] = field(default_factory=dict)
    # What upstream has taken away, if only for a while, so that nobody need build it any more.
    unsettled: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.names = [f"kill{number}" for number in range(self.size.packages)]
        for number in range(self.size.builders):
            name = f"quick-{number}"
            self.farm.hire(name, self.operators.ask("enrol", name=name), self.size.pause_s)

    def reader(self, index: str, seed: int, *, cut_by: str = "web") -> Reader:
        """Return somebody who reads an index, and whom the death of one part can cut off.

        What nginx has from the web server has begun when its first bytes are there.
        """
        return Reader(
            self.farm.nginx.url,
            self.names,
            index=index,
            excuses=lambda since: self.farm.was_away("nginx", since),
            cuts=lambda since: self.farm.was_away(cut_by, since),
            good_for_s=LINGER_S,
            is_gone=self.taken_down.__contains__,
            seed=seed,
        )

    def publishes(self) -> int:
        """Return how often something was published."""
        return self.built() + self.acts

    def built(self) -> int:
        """Return how many of these were new wheels."""
        return len(self.published())

    def published(self) -> list[str]:
        """Return the names of the files that builders published, each as often as one did."""
        return [what for kind, what in self.farm.told() if kind == "published"]

    def begin(self) -> None:
        """Have one release of each package published."""
        for name in self.names:
            self.release(name)
        self.farm.wait_until(lambda: self.publishes() >= len(self.names) and self.is_calm())

    def go_on(self, killer: Killer) -> None:
        """Do one thing after the other, until enough was built and enough was killed."""
        kinds = cycle(ACTS)
        while self.built() < self.size.builds or killer.is_alive():
            time.sleep(self.size.pause_s)
            kind, _, where = next(kinds).partition(" ")
            if kind in ("release", "rebuild"):
                if self.operators.ask("state")["builds"] >= self.AT_ONCE:
                    continue
            # Two thirds of all are new wheels, however slow those are to come.
            elif self.acts > self.built() / 2:
                continue
            if kind == "release":
                self.release(self.chance.choice(self.names))
            elif where:
                self.act_upstream(kind, self.chance.choice(self.names))
            else:
                self.act(kind)

    def release(self, name: str) -> None:
        """Release the next version of a package; it is published when it is built."""
        self.released[name] = self.released.get(name, 0) + 1
        self.upstream.add_sdist(name, f"{self.released[name]}.0", b"Nobody builds this.")

    def act(self, kind: str) -> None:
        """Do something to one of our wheels."""
        told = {"kind": kind, "chance": self.chance.random()}
        filename = self.operators.ask("choose", **told)
        if kind in ("withdraw", "take_down"):
            # While so much is killed, little is built.
            filename = self.farm.wait_until(lambda: self.operators.ask("choose", **told), 300)
        if filename is None:
            return
        if kind == "take_down":
            # From now on nobody can rely on it.
            self.taken_down.add(filename)
        if kind == "rebuild":
            # What is built again counts when it is.
            self.rebuild(filename)
        else:
            self.acts += bool(self.operators.ask("act", kind=kind, filename=filename))

    def rebuild(self, filename: str) -> None:
        """Have a wheel built again, for a reason of its own."""
        self.asked += 1
        reason = f"The compiler was bad, for the {self.asked}th time."
        if self.operators.ask("act", kind="rebuild", filename=filename, reason=reason):
            name, number, *_ = filename.split("-")
            self.wishes[name, number] = reason

    def act_upstream(self, kind: str, name: str) -> None:
        """Do something to one of the versions upstream."""
        if versions := sorted(set(self.upstream.projects[name].versions) - {KEPT}):
            number = self.chance.choice(versions)
            self.unsettled.add((name, number))
            getattr(self.upstream, kind)(name, number)
            self.acts += 1

    def unfulfilled(self) -> list[str]:
        """Return which rebuilds that were accepted came to nothing, of what upstream has had all the time."""
        settled = {version: why for version, why in self.wishes.items() if version not in self.unsettled}
        wishes = [(name, number, reason) for (name, number), reason in settled.items()]
        return list(self.operators.ask("unfulfilled", wishes=wishes))

    def wrong(self) -> list[str]:
        """Have nobody write any more, and return what is wrong with what is left."""
        for name in ("beat", "beat-2", "worker"):
            if name in self.farm.processes:
                self.farm.end(name)
        said = [what for kind, what in self.farm.told() if kind == "fault"]
        return said + list(self.operators.ask("faults"))

    def is_calm(self) -> bool:
        """Whether all that upstream has is known, and all is built, published and removed that is to be."""
        known = {(name, number) for name, number in self.operators.ask("known") if name in self.names}
        there = {(name, number) for name in self.names for number in self.upstream.projects[name].versions}
        return known == there and not any(self.operators.ask("state").values())


@contextlib.contextmanager
def world_of(size: Size, seed: int, kind: type[Staffed] = Staffed) -> Iterator[World]:
    """Have a farm, of some kind, that knows what upstream has."""
    with (
        services.scratch() as folder,
        FakePyPI() as upstream,
        kind(folder, upstream.simple_url, size) as farm,
        Operators(farm.env, folder / "operators.log") as operators,
    ):
        yield World(size, upstream, farm, operators, random.Random(seed))

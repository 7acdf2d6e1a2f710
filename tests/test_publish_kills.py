"""`kill -9` of each server of a stack that publishes: no reader sees a broken link or half a page."""

import contextlib
import math
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle

import pytest

from builder.settings import Settings
from deploy import redis
from tests import services
from tests.fake_pypi import FakePyPI
from tests.operators import KEPT, Operators
from tests.quick_builders import QuickBuilder
from tests.readers import Reader
from tests.stack import Production

pytestmark = pytest.mark.whole

VICTIMS = ("web", "worker", "nginx", "postgresql")
# What these have started, they start again when it is killed.
PARENTS = ("web", "nginx", "postgresql")
# What happens, as often as it is here.
ACTS = (
    *("release", "release", "rebuild", "release", "withdraw", "release", "rebuild", "yank", "release"),
    *("rebuild", "release", "take_down", "rebuild", "unyank", "release", "yank upstream", "rebuild"),
    *("release", "yank", "rebuild", "release", "unyank upstream", "release", "remove upstream", "rebuild"),
)
# How long a link is good after the last page that has it, as `Shown.LINGER` says.
LINGER_S = 30.0


@dataclass(frozen=True)
class Size:
    """How much is done."""

    packages: int
    publishes: int
    pause_s: float  # between two publishes
    between_kills_s: float
    web_processes: int = 2
    maims: float = 0.5  # how many of the kills are followed by one of a part of the server
    rounds: float = math.inf  # how often each is killed, unless the publishes end before


SHORT = Size(packages=4, publishes=60, pause_s=0.1, between_kills_s=0.5, web_processes=1, maims=0, rounds=1)
FULL = Size(packages=20, publishes=1000, pause_s=0.2, between_kills_s=5.0)


class Killer(threading.Thread):
    """Kills one server after the other at random moments, and brings each back."""

    def __init__(self, farm: Production, size: Size, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self.farm, self.size, self.chance = farm, size, chance
        self.kills = dict.fromkeys(VICTIMS, 0)
        self.maimed = dict.fromkeys(PARENTS, 0)
        self.faults: list[BaseException] = []
        self._ended = threading.Event()

    def __enter__(self) -> "Killer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join(120)

    def run(self) -> None:
        """Kill until it is told to end, or each had its turns."""
        try:
            while not self._ended.is_set() and min(self.kills.values()) < self.size.rounds:
                for victim in self.chance.sample(VICTIMS, len(VICTIMS)):
                    self.kill(victim)
        except BaseException as fault:
            self.faults.append(fault)

    def kill(self, victim: str) -> None:
        """Kill a server; or beside that, once in a while, one of its processes alone."""
        self._ended.wait(self.chance.uniform(0, self.size.between_kills_s))
        if self._ended.is_set():
            return
        self.farm.kill(victim)
        self.kills[victim] += 1
        time.sleep(self.chance.uniform(0, 0.5))
        self.farm.bring_back(victim)
        if victim in PARENTS and self.chance.random() < self.size.maims:
            self._ended.wait(self.chance.uniform(0, self.size.between_kills_s))
            self.farm.maim(victim, self.chance.randrange(100))
            self.maimed[victim] += 1


@dataclass
class World:
    """Upstream, its farm, those who build for it and those who work at it."""

    # So many builds may wait; more would only keep what came last from being published.
    AT_ONCE = 10

    size: Size
    upstream: FakePyPI
    farm: Production
    operators: Operators
    chance: random.Random
    names: list[str] = field(init=False)
    builders: list[QuickBuilder] = field(default_factory=list)
    acts: int = 0
    taken_down: set[str] = field(default_factory=set)
    released: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = [f"kill{number}" for number in range(self.size.packages)]
        # One after the other, whoever publishes.
        self._pace = threading.Lock()

    def pace(self) -> None:
        """Wait for one's turn."""
        with self._pace:
            time.sleep(self.size.pause_s)

    @contextlib.contextmanager
    def building(self, count: int) -> Iterator[None]:
        """Have some builders at work."""
        with contextlib.ExitStack() as stack:
            for number in range(count):
                name = f"quick-{number}"
                told = Settings(
                    server=f"{self.farm.nginx.url}/",
                    builder=name,
                    token=self.operators.ask("enrol", name=name),
                    orders_url="",
                    work=self.farm.var,
                )
                builder = QuickBuilder(told, redis.socket(self.farm.var), pace=self.pace)
                self.builders.append(stack.enter_context(builder))
            yield

    def reader(self, index: str, seed: int) -> Reader:
        """Return somebody who reads an index."""
        return Reader(
            self.farm.nginx.url,
            self.names,
            index=index,
            excuses=lambda since: self.farm.was_away("nginx", since),
            good_for_s=LINGER_S,
            is_gone=self.taken_down.__contains__,
            seed=seed,
        )

    def publishes(self) -> int:
        """Return how often something was published."""
        return self.built() + self.acts

    def built(self) -> int:
        """Return how many of these were new wheels."""
        return sum(builder.published for builder in self.builders)

    def go_on(self) -> None:
        """Do one thing after the other, until enough was published."""
        kinds = cycle(ACTS)
        while self.publishes() < self.size.publishes:
            self.pace()
            kind, _, where = next(kinds).partition(" ")
            if kind in ("release", "rebuild"):
                if self.operators.ask("state")["builds"] >= self.AT_ONCE:
                    continue
            # Half of all are new wheels, however slow those are to come.
            elif self.acts > self.built():
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
            filename = self.farm.wait_until(lambda: self.operators.ask("choose", **told))
        if filename is None:
            return
        if kind == "take_down":
            # From now on nobody can rely on it.
            self.taken_down.add(filename)
        done = self.operators.ask("act", kind=kind, filename=filename)
        # What is built again counts when it is.
        self.acts += bool(done) and kind != "rebuild"

    def act_upstream(self, kind: str, name: str) -> None:
        """Do something to one of the versions upstream."""
        if versions := sorted(set(self.upstream.projects[name].versions) - {KEPT}):
            getattr(self.upstream, kind)(name, self.chance.choice(versions))
            self.acts += 1

    def is_calm(self) -> bool:
        """Whether all is built, published and removed that is to be."""
        left = self.operators.ask("state")
        return not (left["builds"] or left["to_show"] or left["to_remove"])


@contextlib.contextmanager
def world_of(size: Size, seed: int) -> Iterator[World]:
    """Have a farm that knows what upstream has."""
    with (
        services.scratch() as folder,
        FakePyPI() as upstream,
        Production(folder, upstream.simple_url, "all", web_processes=size.web_processes) as farm,
        Operators(farm.env, folder / "operators.log") as operators,
    ):
        yield World(size, upstream, farm, operators, random.Random(seed))


@pytest.mark.parametrize(
    ("size", "seed"),
    [pytest.param(SHORT, 1, id="short"), pytest.param(FULL, 2, id="full", marks=pytest.mark.faults)],
)
def test_who_reads_sees_no_broken_link_and_no_half_file(size, seed):
    began = time.monotonic()
    with world_of(size, seed) as world, world.building(3):
        for name in world.names:
            world.release(name)
        world.farm.wait_until(lambda: world.publishes() >= len(world.names))
        with world.reader("simple", 1) as first, world.reader("simple-platform", 2) as second:
            with Killer(world.farm, size, random.Random(seed)) as killer:
                world.go_on()
                if size.rounds < math.inf:
                    killer.join(60)
            world.farm.wait_until(world.is_calm)
        for name in ("beat", "worker"):
            world.farm.end(name)
        faults = world.operators.ask("faults")

    assert not killer.faults
    assert not [fault for builder in world.builders for fault in builder.faults]
    assert first.wrong + second.wrong == []
    assert faults == []
    assert world.publishes() >= size.publishes
    assert min(killer.kills.values()) >= min(size.rounds, 5)
    assert min(first.pairs, second.pairs) > 10
    readers = (first, second)
    pages, files = sum(each.pages for each in readers), sum(each.downloads for each in readers)
    late = sum(each.late for each in readers)
    assert late > 0
    took_s = time.monotonic() - began
    print(f"{world.publishes()} publishes, {world.built()} of new wheels, in {took_s:.0f} s")
    print(f"killed: {killer.kills}; parts alone: {killer.maimed}")
    print(f"read: {pages} pages, {files} files, {late} of them after the last page that had them")

"""How fast builds are claimed by 20 builders at once, and that none of them is ever given away twice.

Every build is asked for by several clients at the same moment, each with its builder's token, as when a ring
comes twice or a request is repeated.  The gap between a builder's builds is the database's: the build that
was won is closed and the next one assigned.
"""

import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from threading import Barrier, BrokenBarrierError

from django.conf import settings
from django.db import connection

from benchmarks import sample
from benchmarks.figures import Figure, show
from benchmarks.servers import Servers
from builder.client import Client, LostClaim
from builder.settings import Settings
from builds.models import Build, Builder
from packages.clock import database_now

BUILDERS = 20
CLIENTS = 2
BUILDS = 10_000


def main() -> int:
    """Measure and print."""
    with Servers("redis", "web") as farm:
        tokens = sample.enrol(BUILDERS)
        builders = [(Builder.objects.get(name=name), token) for name, token in tokens.items()]
        target = builders[0][0].target
        builds = Build.objects.bulk_create(
            Build(version=version, target=target) for version in sample.release(BUILDS // sample.VERSIONS)
        )
        shares = [
            Share(farm, builder, token, builds[number::BUILDERS], Barrier(CLIENTS))
            for number, (builder, token) in enumerate(builders)
        ]
        began = time.monotonic()
        asked = ask_all(shares)
        seconds = time.monotonic() - began
    won = Counter(build for client in settled(asked) for build in client)
    double = sum(count > 1 for count in won.values())
    show(
        Figure("claims that were won, per second", len(won) / seconds, "1/s"),
        Figure("claims that were asked for, per second", BUILDS * CLIENTS / seconds, "1/s"),
        Figure("builds that were claimed", len(won), "builds", f"{BUILDS}"),
        Figure("builds that were claimed twice", double, "builds", "0"),
    )
    return 0 if len(won) == BUILDS and not double else 1


@dataclass(frozen=True)
class Share:
    """The builds that one builder has, and where its clients wait for each other."""

    farm: Servers
    builder: Builder
    token: str
    builds: list[Build]
    barrier: Barrier


def ask_all(shares: list[Share]) -> list[Future[list[int]]]:
    """Have all builders' clients ask for all builds, and wait for them."""
    with ThreadPoolExecutor(len(shares) * CLIENTS) as threads:
        asked = [threads.submit(ask, share, client == 0) for share in shares for client in range(CLIENTS)]
        try:
            wait(asked)
        except BaseException:
            # Whoever ends the measurement need not wait for the rest of it.
            for share in shares:
                share.barrier.abort()
            raise
    return asked


def ask(share: Share, is_first: bool) -> list[int]:
    """Claim each build at the same moment as the builder's other clients; return those that were won."""
    won = []
    own = Settings(
        server=f"{share.farm.address}/",
        builder=share.builder.name,
        token=share.token,
        orders_url="",
        work=settings.VAR,
    )
    try:
        with Client(own) as client:
            for build in share.builds:
                if is_first:
                    assign(build, share.builder)
                share.barrier.wait()
                with suppress(LostClaim):
                    won.append(client.claim(build.pk, build.attempt).build)
                share.barrier.wait()
    except BaseException:
        # Nobody shall wait for who failed.
        share.barrier.abort()
        raise
    finally:
        connection.close()
    return won


def assign(build: Build, builder: Builder) -> None:
    """Close the build that a builder has and give it another, as the dispatcher would."""
    now = database_now()
    for last in builder.builds.assigned():
        last.close(Build.State.FAILED, "It was only a measurement.", now)
    if not build.assign(builder, now):
        raise RuntimeError(f"{build} is not waiting.")


def settled(asked: list[Future[list[int]]]) -> list[list[int]]:
    """Return what clients won; raise the fault that stopped one of them, not that others then stopped."""
    faults = [fault for client in asked if (fault := client.exception())]
    for fault in faults:
        if not isinstance(fault, BrokenBarrierError):
            raise fault
    return [client.result() for client in asked]

"""The index side by side with its peers: nginx with static files, pypiserver and devpi, in one run.

All of them serve the same wheels on the same cores, beside whoever puts the load on them, in turns.  The
limit is an nginx with nothing but our own pages as files.  A cell is the median of its rounds.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import requests
from django.conf import settings
from django.core.management import call_command

from benchmarks.figures import Figure, show
from benchmarks.index import load, ours, peers, picture, rendering, wheels
from benchmarks.index.load import Load, Request
from benchmarks.index.peers import Peer
from benchmarks.index.wheels import Projects, Sample
from simple.formats import Format
from tests import services

ROUNDS = int(os.environ.get("INDEX_ROUNDS", "3"))
SECONDS = float(os.environ.get("INDEX_SECONDS", "3"))
JSON = {"Accept": str(Format.JSON)}
HTML = {"Accept": "text/html"}
# What an nginx without our configuration takes for the page of a folder.
STATIC = {"JSON": "index.v1_json", "HTML": "index.html"}
# The largest page, which is compared with one of 20 files.
HUGE = f"page, {wheels.HUGE:,} files"

Asked = Callable[[Peer], dict[str, Request]]


@dataclass
class Table:
    """What was measured: by what was asked for, and by server."""

    cells: dict[str, dict[str, list[Load]]] = field(default_factory=dict)

    def add(self, what: str, server: str, measured: Load) -> None:
        """Note one measurement."""
        self.cells.setdefault(what, {}).setdefault(server, []).append(measured)

    def rate(self, what: str, server: str) -> float:
        """Return how many answers a second a server gave; 0 if it was not asked."""
        found = self.cells.get(what, {}).get(server, [])
        return median(each.per_second for each in found) if found else 0.0

    def rates(self) -> dict[str, dict[str, float]]:
        """Return all that `rate` says."""
        return {what: {server: self.rate(what, server) for server in row} for what, row in self.cells.items()}

    def __str__(self) -> str:
        """Return it as Markdown: answers a second, and in how many ms 99 of 100 came."""
        servers = list(dict.fromkeys(server for row in self.cells.values() for server in row))
        lines = [f"| | {' | '.join(servers)} |", "| --- " * (len(servers) + 1) + "|"]
        for what, row in self.cells.items():
            lines.append(f"| {what} | {' | '.join(self._cell(row.get(server, [])) for server in servers)} |")
        return "\n".join(lines)

    def _cell(self, found: list[Load]) -> str:
        if not found:
            return ""
        rate, p99 = median(each.per_second for each in found), median(each.p99_ms for each in found)
        failed = sum(each.failed for each in found)
        return f"{rate:,.0f} ({p99:,.1f} ms)" + (f", {failed} failed" if failed else "")


def main() -> int:
    """Measure and print."""
    services.install([] if load.is_there() else ["wrk"])
    call_command("migrate", interactive=False, verbosity=0)
    table, folder = Table(), settings.VAR / "index"
    folder.mkdir(parents=True)
    with own(folder) as servers:
        for projects, asked in steps():
            ours.fill(projects)
            measure(table, servers, asked)
        memory = servers[-1].memory_mib() + servers[-2].memory_mib()
    programs = peers.environment(folder / "peers")
    for peer in (peers.pypiserver, peers.devpi):
        with peer(programs, folder / peer.__name__) as (server, fill):
            for projects, asked in steps():
                try:
                    fill(projects)
                except peers.TooSlow as problem:
                    print(f"  {problem}", flush=True)
                    continue
                measure(table, [server], asked)
            show(Figure(f"memory of {server.name} afterwards", server.memory_mib(), "MiB"))
    print(f"\n{table}\n")
    if "INDEX_PICTURE" in os.environ:
        picture.draw(table.rates(), Path(__file__).parents[1] / "index.svg")
    show(*goals(table), Figure("memory of our web tier afterwards", memory, "MiB", "under 250"))
    return rendering.main()


def steps() -> Iterator[tuple[Projects, Asked]]:
    """Give what all servers are filled with, one after the other, and what each is then asked for.

    What is large comes last, as there are servers that look through all that they have for each answer.
    """
    yield wheels.projects(), requests_for
    yield {"huge": wheels.huge()}, lambda peer: pages(HUGE, peer, "huge")
    names = {name: list(wheels.files_of(name, 1)) for name in wheels.names()}
    yield names, lambda peer: pages(f"root, {wheels.NAMES:,} names more", peer, "")


@contextmanager
def own(folder: Path) -> Iterator[list[Peer]]:
    """Run the limit, and both forms of ours."""
    with ExitStack() as stack:
        limits = [
            stack.enter_context(
                peers.static(folder / f"static-{kind}", settings.PIWHEELS_PUBLIC, kind, index)
            )
            for kind, index in STATIC.items()
        ]
        web = stack.enter_context(ours.application(folder / "web"))
        front = stack.enter_context(ours.production(folder / "nginx", web))
        yield [*limits, web, front]


def measure(table: Table, servers: Iterable[Peer], asked: Asked) -> None:
    """Ask servers in turns for everything, some rounds."""
    for _ in range(ROUNDS):
        for server in servers:
            for what, request in asked(server).items():
                table.add(what, server.name, load.put(server.address, request, SECONDS))


def requests_for(peer: Peer) -> dict[str, Request]:
    """Return what a server is asked for, and as what it counts."""
    small = next(iter(wheels.projects()["sample000"]))
    large = wheels.projects()["large"][0]
    return {
        **pages("page, 20 files", peer, "sample000"),
        **pages("page, 1,000 files", peer, "big"),
        **pages(f"root, {wheels.PROJECTS + 2} names", peer, ""),
        **unchanged(peer),
        **({} if peer.kind == "HTML" else files(peer, small, large)),
    }


def pages(what: str, peer: Peer, project: str) -> dict[str, Request]:
    """Return a page in all the formats that a server has."""
    kinds = {"JSON": JSON, "HTML": HTML}
    return {
        f"{what}, {kind}": Request(peer.page(project), headers)
        for kind, headers in kinds.items()
        if peer.kind in ("", kind)
    }


def unchanged(peer: Peer) -> dict[str, Request]:
    """Return the question whether a page is still the one that the client has, where a server knows."""
    headers = HTML if peer.kind == "HTML" else JSON
    page = requests.get(f"{peer.address}{peer.page('sample000')}", headers=headers, timeout=60)
    if peer.kind == "HTML" or "ETag" not in page.headers:
        return {}
    asked = {**headers, "If-None-Match": page.headers["ETag"]}
    answer = requests.get(f"{peer.address}{peer.page('sample000')}", headers=asked, timeout=60)
    return {"304": Request(peer.page("sample000"), asked)} if answer.status_code == 304 else {}


def files(peer: Peer, small: Sample, large: Sample) -> dict[str, Request]:
    """Return files of either size."""
    return {"file of 2 KB": Request(peer.file(small)), "file of 20 MB": Request(peer.file(large))}


def goals(table: Table) -> list[Figure]:
    """Return how the worst of our pages compare."""
    limit, front, alone = "nginx, static", "ours, nginx in front", "ours, gunicorn alone"
    rows = [what for what in table.cells if table.rate(what, limit)]
    of_limit = {what: table.rate(what, front) / table.rate(what, limit) for what in rows}
    worst = min(of_limit, key=lambda what: of_limit[what])
    times = {
        (what, peer): table.rate(what, alone) / table.rate(what, peer)
        for what in table.cells
        for peer in ("pypiserver", "devpi")
        if table.rate(what, peer)
    }
    least = min(times, key=lambda each: times[each])
    fewer = {
        kind: table.rate(f"page, 20 files, {kind}", alone) / table.rate(f"{HUGE}, {kind}", alone)
        for kind in ("JSON", "HTML")
    }
    return [
        Figure(
            f"nginx in front to static files, at worst ({worst})", of_limit[worst], "times", "0.9 or more"
        ),
        Figure(
            f"gunicorn alone to the peers, at worst ({' / '.join(least)})", times[least], "times", "5 or more"
        ),
        *(
            Figure(f"gunicorn alone, 20 files to {wheels.HUGE:,}, {kind}", times_fewer, "times", "1: flat")
            for kind, times_fewer in fewer.items()
        ),
    ]

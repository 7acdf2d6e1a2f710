"""Whether anything was lost or done twice: what builders told, the rows and the index must say the same."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

from benchmarks.soak.crew import End, Record
from builds.models import Build, Wheel
from simple.formats import Format

# Who reads the index at the end.
READERS = 4


def of_the_builders(record: Record, processes: int) -> Iterator[str]:
    """Yield what is wrong with what builders told alone."""
    yield from record.faults
    if record.over != processes:
        yield f"{processes - record.over} processes of builders did not come to their end"
    for what, builds in (("given", record.ordered), ("ended", [end.build for end in record.ended])):
        twice = [build for build, times in Counter(builds).items() if times > 1]
        if twice:
            yield f"{len(twice)} builds were {what} twice: {twice[:5]}"
    ended = {end.build for end in record.ended}
    if lost := set(record.ordered) - ended:
        yield f"{len(lost)} builds were begun and not ended: {sorted(lost)[:5]}"
    if bad := [end for end in record.ended if end.state != Build.State.SUCCEEDED]:
        yield f"{len(bad)} builds did not succeed: {bad[:3]}"


def of_the_rows(record: Record) -> Iterator[str]:
    """Yield what the database has otherwise than builders told it."""
    told = {end.build for end in record.ended}
    succeeded = set(Build.objects.filter(state=Build.State.SUCCEEDED).values_list("pk", flat=True).iterator())
    if differing := succeeded ^ told:
        yield f"{len(succeeded)} builds succeeded, {len(told)} were reported: {sorted(differing)[:5]}"
    begun = Build.objects.filter(claimed_at__isnull=False).count()
    if begun != len(told):
        yield f"{begun} builds were claimed, {len(told)} were reported"
    others = Build.objects.exclude(
        state__in=(Build.State.SUCCEEDED, Build.State.QUEUED, Build.State.DISPATCHED)
    )
    if stray := list(others.values_list("pk", "state")[:5]):
        yield f"{others.count()} builds are in another state: {stray}"
    wheels = {
        (build, filename, sha256)
        for build, filename, sha256 in Wheel.objects.values_list("build", "filename", "sha256").iterator()
    }
    wanted = {(end.build, end.filename, end.sha256) for end in record.ended}
    if wheels != wanted:
        yield f"{len(wheels - wanted)} wheels too many, {len(wanted - wheels)} are missing"


def of_the_index(record: Record, port: int) -> Iterator[str]:
    """Yield which pages do not have the wheels of their package, no other, and the files that they name."""
    by_package: dict[str, list[End]] = defaultdict(list)
    for end in record.ended:
        by_package[end.package].append(end)
    packages = list(by_package.items())
    with ThreadPoolExecutor(READERS) as readers:
        shares = [readers.submit(_read, packages[number::READERS], port) for number in range(READERS)]
        for share in shares:
            yield from share.result()


def _read(packages: list[tuple[str, list[End]]], port: int) -> list[str]:
    """Return what is wrong with some pages and their files."""
    server = HTTPConnection("127.0.0.1", port, timeout=60)
    wrong = []
    for package, ends in packages:
        told = json.loads(_get(server, f"/simple/{package}/") or '{"files": []}')
        listed = {file["filename"]: file["hashes"]["sha256"] for file in told["files"]}
        if listed != {end.filename: end.sha256 for end in ends}:
            wrong.append(f"the page of {package} has {len(listed)} wheels, of {len(ends)}, or other hashes")
        for filename, sha256 in listed.items():
            if hashlib.sha256(_get(server, f"/simple/{package}/{filename}")).hexdigest() != sha256:
                wrong.append(f"{filename} is not what the page says")
    server.close()
    return wrong


def _get(server: HTTPConnection, path: str) -> bytes:
    """Return what is at a path; nothing if there is nothing."""
    server.request("GET", path, headers={"Accept": Format.JSON})
    answer = server.getresponse()
    content = answer.read()
    return content if answer.status == 200 else b""

"""One hostile build, all the way: from its source at the builder to its row on the server."""

import hashlib
import io
import itertools
import json
import re
import sysconfig
import time
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from django.db import transaction

from builder.contract import LOG_CHUNK, LOG_LIMIT
from builder.tests.server import TICKET, TOKEN
from builds import failures
from builds.api import PIECE_LIMIT
from builds.builders import host
from builds.publish import expected_of
from builds.tests.pi import Pi
from builds.tests.rows import make_builder, make_running_build, make_version
from builds.wheels.wheel_names import BadWheel, check_filename
from packages.clock import database_now
from tests.hostile.package import End, pack, sources
from tests.hostile.scene import Scene

MEMORY_BYTES = 512 << 20
# What could act on a terminal or a browser; logs are kept without it.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\u202a-\u202e\u2066-\u2069]")
_HOLE = re.compile(r"HOLE\((\w+)\): .*")
_MISTAKE = re.compile(r"MISTAKE: .*")
# No two builds have the same number, though their rows are forgotten: their logs are not.
_numbers = itertools.count(1000)


class Attempt:
    """A build on the server, its source, and what its builder made of it."""

    def __init__(self, scene: Scene, content: bytes, filename: str, time_limit_s: float) -> None:
        """Order the build of a source."""
        self.scene, self.fake = scene, scene.server
        target = host.host_target()
        self.row, self.ticket = make_running_build(
            make_builder(target=target, heard_at=database_now()),
            now=database_now(),
            version=make_version("1.0", package="tiny"),
            pk=next(_numbers),
        )
        self.expected = expected_of(self.row)
        self.fake.refusal_of = self._refusal_of
        for forget in (self.fake.reports, self.fake.uploads, self.fake.logs, self.fake.asked):
            forget.clear()
        self.fake.order(
            filename,
            content,
            build=self.row.pk,
            target=target.key,
            platform=sysconfig.get_platform(),
            time_limit_s=time_limit_s,
            memory_bytes=MEMORY_BYTES,
        )

    def run(self, within_s: float) -> str:
        """Build, and hand on to the server what came; return what the builder says of itself."""
        began = time.monotonic()
        said = self.scene.build(self.row.pk, within_s)
        self.took_s = time.monotonic() - began
        self.log = bytes(self.fake.logs.get(self.row.pk, b""))
        self.report = self.fake.reports[-1] if self.fake.reports else {}
        pi = Pi(self.ticket)
        self._hand_on(pi)
        self.kept_log = pi.log(self.row).decode()
        self.row.refresh_from_db()
        return said

    def _hand_on(self, pi: Pi) -> None:
        """Tell the server what the builder told: log, wheels, and the report with what came behind it."""
        told = self.report.get("log_offset", len(self.log))
        for at in range(0, told, LOG_CHUNK):
            pi.heartbeat(self.row, self.log[at : min(at + LOG_CHUNK, told)], at)
        if not self.report:
            return
        wheels = [self.fake.uploads.get(wheel["filename"]) for wheel in self.report["wheels"]]
        # One that was refused before its first byte did not come.
        is_whole = self.report["attached"] and None not in wheels
        if not is_whole:
            for filename, content in self.fake.uploads.items():
                self._upload(pi, filename, bytes(content))
        head = json.dumps({**self.report, "attached": is_whole}).encode()
        behind = [self.log[told:], *(bytes(wheel or b"") for wheel in wheels if is_whole)]
        body = b"".join([head, *behind])
        pi.post(f"builds/{self.row.pk}/report", body, **{"Report-Length": str(len(head))})

    def _upload(self, pi: Pi, filename: str, content: bytes) -> None:
        """Hand on a wheel, in pieces as builders do."""
        sha256 = hashlib.sha256(content).hexdigest()
        for at in range(0, len(content), PIECE_LIMIT):
            piece = content[at : at + PIECE_LIMIT]
            answer = pi.upload(self.row, filename, piece, offset=at, total=len(content), sha256=sha256)
            assert answer.status_code == 200, answer.content

    def wheels(self) -> dict[str, str]:
        """Return the hashes of the wheels that came."""
        return {name: hashlib.sha256(content).hexdigest() for name, content in self.fake.uploads.items()}

    def wrong_end(self, end: End) -> Iterator[str]:
        """Say where the build did not end as it should."""
        if not self.report:
            yield "no report came"
        if self.row.state != end.state:
            yield f"it is {self.row.state} and should be {end.state}: {self.row.reason}"
        # Where Python meets a limit before the watch does, it is not the builder that tells, but the log.
        failure = {self.report.get("failure", ""), self.row.failure}
        if end.state == "failed" and failure.isdisjoint(end.failures):
            yield f"its failure is {failure} and should be one of {end.failures}: {self.row.reason}"
        if failures.is_infrastructure(self.row.failure):
            yield f"it counts as {self.row.failure}, which is no fault of the package, and is tried again"
        if not re.search(end.says, f"{self.row.reason}\n{self.kept_log}"):
            yield f"neither reason nor log has {end.says!r}: {self.row.reason}"
        if found := _MISTAKE.search(self.kept_log):
            yield f"the attack itself is wrong: {found[0]}"
        if self.took_s > end.within_s:
            yield f"it took {self.took_s:.0f} s and should take {end.within_s:g} s at most"
        if len(self.log) > LOG_LIMIT:
            yield f"its log has {len(self.log)} bytes"
        if found := _CONTROL.search(self.kept_log):
            yield f"its log can act on a terminal: {found[0]!r}"

    def gains(self, levels: Collection[str]) -> Iterator[str]:
        """Say what the build got hold of that no build at one of those levels may have."""
        yield from (hole[0] for hole in _HOLE.finditer(self.kept_log) if hole[1] in levels)
        yield from (f"it connected to {name}" for name in self.scene.listeners.knocks)
        yield from (
            f"it asked the API for {asked.method} {asked.path}"
            for asked in self.fake.asked
            if "/hostile" in asked.path.partition("?")[0].removeprefix("/builder")
            and "/wheels/" not in asked.path
        )
        everything = self._everything()
        for secret in (self.scene.secret, TOKEN, TICKET):
            if secret.encode() in everything:
                yield f"what left the builder has {secret!r} in it"
        yield from self.scene.damage()

    def _refusal_of(self, filename: str) -> str:
        """Say no where the server does, before it takes the first byte."""
        try:
            check_filename(filename, self.expected)
        except BadWheel as problem:
            return str(problem)
        return ""

    def _everything(self) -> bytes:
        """Return everything that left the builder, unpacked where it is a zip."""
        found = [self.log, json.dumps(self.report).encode()]
        for content in self.fake.uploads.values():
            found.append(bytes(content))
            if zipfile.is_zipfile(io.BytesIO(content)):
                with zipfile.ZipFile(io.BytesIO(content)) as wheel:
                    members = [each for each in wheel.infolist() if each.file_size < 1 << 20]
                    found += [wheel.read(each) for each in members[:1000] if not each.is_dir()]
        return b"\n".join(found)


@contextmanager
def attempt(scene: Scene, content: bytes, filename: str, time_limit_s: float) -> Iterator[Attempt]:
    """Order the build of a source on a server that forgets it afterwards."""
    with transaction.atomic():
        yield Attempt(scene, content, filename, time_limit_s)
        transaction.set_rollback(True)


def good_build(scene: Scene) -> tuple[str, dict[str, str]]:
    """Build an honest package; return how that ended and the hashes of its wheels."""
    with attempt(scene, pack(sources()), "tiny-1.0.tar.gz", 60.0) as honest:
        said = honest.run(90)
        if said != "done" or honest.row.state != "succeeded":
            return f"{said}: {honest.row.reason} {honest.kept_log[-3000:]}", {}
        return "", honest.wheels()

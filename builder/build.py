"""An order becomes a report: fetch the source, build it, look at what came out, hand it over.

What is wrong with a package is reported and final.  What is wrong with the builder (a full disk, no network)
is reported as that, or shows by its silence; either way another builder tries.
"""

import errno
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from builder import findings, pip_wheel, tools
from builder.apt import Extra, NoSuchPackages, NotFetched, unpack_extra
from builder.bench import Bench, limits_for
from builder.client import Client, DeadTicket, Refused, Unreachable
from builder.collect import BadOutput, NoWheel, Wheel, collect
from builder.contract import (
    ATTACHED_LIMIT,
    CONTRACT,
    REPORT_LIMIT,
    BuildOrder,
    BuildReport,
    WheelReport,
    encode,
    legible,
)
from builder.facts import made_with
from builder.heartbeat import MOST_REST, Heartbeats
from builder.log import Log
from builder.pip_wheel import Made, PipFailed
from builder.place import Place, fresh, workshop
from builder.proxy import PackageProxy
from builder.sandbox import Box, BrokenBox, Kind, Level
from builder.settings import Settings
from builder.source import BadSource, NoSource, SourceUnreachable, fetch
from builder.trial import try_out

logger = logging.getLogger(__name__)


class RefusedWheel(BadOutput):
    """The server does not take a wheel that this build left."""


# What each step raises, and the class of failure that the report gives it.
FAILURES: dict[type[Exception], str] = {
    NoSource: "no-source",
    BadSource: "bad-source",
    SourceUnreachable: "source-unreachable",
    NoSuchPackages: "no-apt-packages",
    NotFetched: "apt-unreachable",
    BrokenBox: "builder-fault",
    BadOutput: "bad-output",
    NoWheel: "no-wheel",
    RefusedWheel: "refused",
}
# A wheel that is no larger than this comes with the report and needs no upload.
_MOST_WHEEL = ATTACHED_LIMIT - MOST_REST
# A disk that is full is the builder's fault, whoever filled it: a build has a quota.
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def build(
    order: BuildOrder,
    client: Client,
    settings: Settings,
    kind: Kind,
    may_go_on: Callable[[], bool] = lambda: False,
) -> BuildOrder | None:
    """Carry out an order and report; return the next one if there is one and we may go on.

    Once the server has called a build off, nothing more is done for it.
    """
    folder = workshop(settings)
    with Log(folder) as log, Client(settings) as voice, fresh(folder, order) as place:
        heartbeats = Heartbeats(order, log, voice)
        try:
            with heartbeats:
                attempt = _Attempt(order, place, client, settings, kind, log, heartbeats.dead)
                report = sendable(attempt.report())
            log.end()
            offset, rest = heartbeats.rest()
            report = replace(report, log_offset=offset, log_length=len(rest))
            wheel = attempt.wheel if report.attached else b""
            verdict = client.report(order, report, rest + wheel, wants_next=may_go_on())
        except DeadTicket as death:
            logger.warning("Build %s attempt %s is over: %s", order.build, order.attempt, death)
        except (Unreachable, Refused) as fault:
            logger.error("Build %s attempt %s is given up: %s", order.build, order.attempt, fault)
        else:
            logger.info("Build %s has %s. %s", order.build, verdict.state, verdict.reason)
            return verdict.next
    return None


def sendable(report: BuildReport) -> BuildReport:
    """Return a report that a server takes: without what was fetched where that is too much to tell of.

    Where what the wheels need is too much, too, they are no output that anybody could use.
    """
    if len(encode(report)) <= REPORT_LIMIT:
        return report
    lighter = replace(report, fetched=())
    size = len(encode(lighter))
    if size <= REPORT_LIMIT:
        return lighter
    return replace(
        lighter,
        succeeded=False,
        wheels=(),
        attached=False,
        failure=report.failure or FAILURES[BadOutput],
        reason=f"What it left makes a report of {size} bytes; {REPORT_LIMIT} are taken.",
    )


@dataclass
class _Attempt:
    """The steps of one build in their order, and what a report tells of them however they end."""

    order: BuildOrder
    place: Place
    client: Client
    settings: Settings
    kind: Kind
    log: Log
    stop: Event
    told: BuildReport = field(default_factory=lambda: BuildReport(CONTRACT, False, "", 0.0, ()))
    wheel: bytes = b""  # that comes with the report

    def report(self) -> BuildReport:
        """Go through the steps and return how they ended; DeadTicket when told to stop."""
        self.told = replace(self.told, sandbox=self.kind.level, made_with=made_with())
        try:
            wheels = self._wheels()
        except PipFailed as error:
            self._tell(error.made)
            return self._failed(error.failure or self.told.failure, str(error))
        except tuple(FAILURES) as error:
            return self._failed(FAILURES[type(error)], str(error))
        except OSError as error:
            if error.errno not in _DISK_FULL:
                raise
            return self._failed("builder-disk-full", f"The builder's disk is full: {error}.")
        return replace(self.told, succeeded=True, wheels=wheels, attached=bool(self.wheel))

    def _wheels(self) -> tuple[WheelReport, ...]:
        """Build the order's wheels and hand them over."""
        self.log.note(f"fetching {self.order.url}")
        source = fetch(self.order, self.place.source, self.stop)
        is_shown = self.kind.level is not Level.BARE
        extra = unpack_extra(self.order.apt, self.place.apt, self.log, self.stop, is_shown=is_shown)
        with self._bench(extra) as bench:
            self.told = replace(self.told, environment=pip_wheel.environment(bench))
            made = pip_wheel.climb(bench, source)
            self._tell(made)
            with collect(self.place.out) as wheels:
                again = self._again(bench, source, made)
                return tuple(
                    self._hand_over(bench, wheel, made, again.get(wheel.filename), is_only=len(wheels) == 1)
                    for wheel in wheels
                )

    @contextmanager
    def _bench(self, extra: Extra) -> Iterator[Bench]:
        """Set up the sandbox and the package proxy, which is all that the sandbox reaches."""
        doorway = None if self.kind.level is Level.BARE else self.place.root / "index.sock"
        indexes = (
            self.settings.build_index or self.order.index,
            self.settings.extra_build_index or self.order.extra_index,
        )
        cache = self.place.root.parent / "cache"
        crates = self.settings.build_crates or self.order.crates
        with PackageProxy(
            [index for index in indexes if index], socket=doorway, crates=crates, cache=cache
        ) as proxy:
            readable = {**tools.readable(), **extra.readable()}
            box = Box(self.kind, self.place, readable=readable, doorway=doorway)
            limits = limits_for(self.order, self.place.root, self.settings.build_disk_bytes)
            try:
                yield Bench(self.order, self.kind, self.place, box, proxy, limits, self.log, self.stop, extra)
            except PipFailed:
                if proxy.failed:
                    self.told = replace(self.told, failure="proxy-failed")
                raise
            finally:
                for complaint in proxy.complaints:
                    self.log.note(complaint)

    def _again(self, bench: Bench, source: Path, made: Made) -> dict[str, bool]:
        """Build what was quick once more; return which wheels have the same bytes again."""
        if made.duration_s >= self.order.rebuild_under_s:
            return {}
        with collect(self.place.out) as first, Log(self.place.root) as unread:
            hashes = {wheel.filename: wheel.sha256 for wheel in first}
            began = time.monotonic()
            try:
                anew = replace(bench, log=unread).within(self.order.time_limit_s)
                pip_wheel.build(anew, source, made)
                with collect(self.place.out) as second:
                    again = {wheel.filename: wheel.sha256 for wheel in second}
            except (BadOutput, PipFailed):
                again = {}
        self.log.note(f"built again in {time.monotonic() - began:.1f} s, to compare the bytes")
        return {name: again.get(name) == sha256 for name, sha256 in hashes.items()}

    def _hand_over(
        self, bench: Bench, wheel: Wheel, made: Made, reproducible: bool | None, *, is_only: bool
    ) -> WheelReport:
        """Put a wheel right, try it, upload it and return what there is to say about it."""
        found = findings.needs(bench, findings.inspect(bench, wheel, made))
        with collect(self.place.out) as (final,):
            trial = try_out(bench, final, found.apt)
            self.log.note(
                f"{final.filename}: {final.size} bytes, needs {', '.join(found.apt) or 'no apt packages'}; "
                f"tried: {trial.outcome} {trial.detail}"
            )
            if is_only and final.size <= _MOST_WHEEL:
                final.file.seek(0)
                self.wheel = final.file.read()
            else:
                self._upload(final)
        return WheelReport(
            filename=final.filename,
            size=final.size,
            sha256=final.sha256,
            apt=found.apt,
            unresolved=found.unresolved,
            reproducible=reproducible,
            trial=trial,
        )

    def _upload(self, wheel: Wheel) -> None:
        """Bring a wheel to the server; raises RefusedWheel when it wants none such."""
        try:
            self.client.upload(self.order, wheel.filename, wheel.file, size=wheel.size, sha256=wheel.sha256)
        except Refused as refused:
            raise RefusedWheel(f"The server refused the wheel: {refused}") from refused

    def _tell(self, made: Made) -> None:
        """Put into the report what the rungs took."""
        self.told = replace(
            self.told,
            duration_s=made.duration_s,
            cpu_s=made.cpu_s,
            peak_memory_bytes=made.peak_memory_bytes,
            rung=made.rung.name,
            fetched=made.fetched,
        )

    def _failed(self, failure: str, reason: str) -> BuildReport:
        """Return the report of a build that did not succeed, and say so in its log where that takes it."""
        # What others said may have characters that no report can have.
        reason = legible(reason)
        with suppress(OSError):
            self.log.note(reason)
        return replace(self.told, succeeded=False, failure=failure, reason=reason)

"""Runs `pip wheel` on a source in the sandbox: one rung of the ladder after the other."""

import os
import re
import signal
import sysconfig
import time
from dataclasses import dataclass, replace
from pathlib import Path

from builder import exits, rungs, tools
from builder.bench import Bench
from builder.contract import Fetched
from builder.limits import Outcome
from builder.log import Log
from builder.rungs import Rung
from builder.source import BadSource

# 1980-01-01: the formats of archives know no earlier time.
_EARLIEST_EPOCH = 315_532_800
# As much of a log's end as tells why a build failed; a compiler's last words can be long.
_LAST_WORDS = 200_000
# What a program says that has read a stranger's file: a name and versions, and no option for pip.
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._,<>=!~*+-]{0,299}")
_MOST_ASKED = 100

_CARGO = """\
[source.crates-io]
replace-with = "builder"
[source.builder]
registry = "{registry}"
[net]
retry = 1
[http]
multiplexing = false
"""

# How an end that was not the program's own is called in a report, and what a person reads.
_ENDS = {
    "time": ("timeout", "took longer than {limits.time_s:.0f} s and was stopped"),
    "stall": ("stalled", "printed nothing and used no processor for {limits.stall_s:.0f} s and was stopped"),
    "memory": ("out-of-memory", "used more than the {limits.memory_bytes} bytes of memory that it may have"),
    "disk": ("disk-full", "wrote more than the {limits.disk_bytes} bytes that it may have on the disk"),
    "processes": ("too-many-processes", "had more than {limits.processes} processes"),
    "machine": ("builder-fault", "was ended by the kernel, as others had taken the machine's memory"),
}
# Of what one of our own programs could not do its work, whatever it was given.
_OF_THE_BUILDER = {exits.FULL: "builder-disk-full", exits.FAULT: "builder-fault"}
# Which limits others have ended it for: its allocation failed, or the kernel was short of memory.
_SHORT = {exits.MEMORY: "memory", 128 + signal.SIGKILL: "machine"}


class PipFailed(Exception):
    """`pip wheel` did not do it; the text says how it ended."""

    def __init__(self, reason: str, failure: str, made: "Made") -> None:
        super().__init__(reason)
        self.failure = failure
        self.made = made


@dataclass(frozen=True)
class Made:
    """How a build went: the rung that was reached, and what all its rungs took together."""

    rung: Rung
    duration_s: float = 0.0
    cpu_s: float = 0.0
    peak_memory_bytes: int = 0
    # What the build environment of the last rung was made of.
    fetched: tuple[Fetched, ...] = ()

    def with_run(self, outcome: Outcome) -> "Made":
        """Return the same with another run added."""
        return replace(
            self,
            duration_s=self.duration_s + outcome.duration_s,
            cpu_s=self.cpu_s + outcome.cpu_s,
            peak_memory_bytes=max(self.peak_memory_bytes, outcome.peak_memory_bytes),
        )


def climb(bench: Bench, source: Path) -> Made:
    """Build the wheels of a source into `place.out`, rung by rung, and tell how that went.

    Raises BadSource, PipFailed, or DeadTicket when told to stop.
    """
    made = Made(rungs.first(bench.order))
    bench = bench.within(bench.limits.time_s)
    tried: list[Rung] = []
    while True:
        tried.append(made.rung)
        start = bench.log.size
        bench.proxy.forget()
        outcome = build(bench, source, made)
        made = replace(made.with_run(outcome), fetched=bench.proxy.fetched)
        if outcome.ended == "exit" and outcome.code == 0:
            return made
        words = _last_words(bench.log, start)
        further = rungs.following(tried, words, bench.order, sysconfig.get_python_version())
        if outcome.ended != "exit" or further is None or time.monotonic() > bench.until:
            raise failed(bench, outcome, made)
        bench.log.note(f"that failed with the tools of rung {made.rung.name}; trying {further.name}")
        made = replace(made, rung=further)


def build(bench: Bench, source: Path, made: Made) -> Outcome:
    """Unpack a source and run `pip wheel` on it once, on the rung that was reached.

    Raises BadSource if it cannot be unpacked, and PipFailed when a step before the last reaches a limit.
    """
    bench.place.clear()
    variables = environment(bench)
    _configure_cargo(bench)
    folder = _unpack(bench, source, made, variables)
    python = _with_modules(bench, folder, made, variables) if made.rung.modules else ""
    return bench.run(command(bench, made.rung, folder, python), environment=variables)


def _configure_cargo(bench: Bench) -> None:
    """Have Cargo, which knows no variable for that, ask the package proxy for the crates that it fetches."""
    if bench.proxy.crates:
        folder = bench.place.home / ".cargo"
        folder.mkdir()
        (folder / "config.toml").write_text(_CARGO.format(registry=bench.proxy.crates))


def _unpack(bench: Bench, source: Path, made: Made, variables: dict[str, str]) -> Path:
    """Unpack a source where it is built, and return that folder."""
    box, place = bench.box, bench.place
    with Log(place.root) as told:
        outcome = bench.offline().run(
            tools.program(box, "builder.unpack", str(box.inside(source)), str(box.inside(place.src))),
            environment=tools.environment(box, variables),
            log=told,
        )
        words = told.read(0, 2000).decode(errors="replace").strip()
    if outcome.ended == "exit" and outcome.code == exits.BAD:
        raise BadSource(words)
    made = made.with_run(outcome)
    if fault := fault_of_ours(bench, outcome, made, "unpacking the source", words):
        raise fault
    if outcome.code != 0:
        raise failed(bench, outcome, made, "unpacking the source", words)
    return place.src / "source"


def _with_modules(bench: Bench, folder: Path, made: Made, variables: dict[str, str]) -> str:
    """Make an environment with what a source imports without asking for it; return its interpreter."""
    inside = bench.box.inside(bench.place.tmp) / "environment"
    python = str(inside / "bin" / "python")
    wanted = sorted({*made.rung.modules, *_asked(bench, folder, made)})
    options = ["install", *quiet_options(), *index_options(bench)]
    for step in (
        [tools.python(), "-P", "-m", "venv", "--without-pip", str(inside)],
        [*tools.pip(bench.box), "--python", python, *options, *wanted],
    ):
        outcome = bench.run(step, environment=variables)
        # If it fails by itself, `pip wheel` says what is missing.
        if outcome.ended != "exit":
            made = replace(made.with_run(outcome), fetched=bench.proxy.fetched)
            raise failed(bench, outcome, made, "installing modules that it may import")
    return python


def _asked(bench: Bench, folder: Path, made: Made) -> list[str]:
    """Return what a source asks for to be built, as far as pip can be told of it in so many words."""
    outcome, lines = bench.ask("builder.asked", str(bench.box.inside(folder)))
    if fault := fault_of_ours(bench, outcome, made.with_run(outcome), "reading pyproject.toml", ""):
        raise fault
    return [line for line in lines if _REQUIREMENT.fullmatch(line)][:_MOST_ASKED]


def command(bench: Bench, rung: Rung, folder: Path, python: str = "") -> list[str]:
    """Return the command that builds an unpacked source: pip has nothing to choose."""
    pip = tools.pip(bench.box)
    words = [python, *pip[1:]] if python else pip
    words += ["wheel", "--no-deps", *quiet_options()]
    words += index_options(bench)[:2] if rung.is_of_its_time else index_options(bench)
    if rung.constraints:
        # Among what a build only reads: where it may write, it could have left a link of that name.
        constraints = bench.place.source / "build-constraints.txt"
        constraints.write_text("".join(f"{line}\n" for line in rung.constraints))
        words += ["--build-constraint", str(bench.box.inside(constraints))]
    if rung.is_of_its_time:
        words += ["--uploaded-prior-to", rungs.uploaded_prior_to(bench.order)]
    if python:
        words += ["--no-build-isolation"]
    return [*words, "--wheel-dir", str(bench.box.inside(bench.place.out)), str(bench.box.inside(folder))]


def quiet_options() -> list[str]:
    """Return the options that every pip of ours has: nothing kept, nothing asked, nothing animated."""
    return [
        *("--no-cache-dir", "--no-input", "--prefer-binary", "--no-color"),
        *("--progress-bar", "off", "--disable-pip-version-check"),
    ]


def index_options(bench: Bench) -> list[str]:
    """Return the options that name the indexes; the first is upstream's."""
    first, *others = bench.proxy.indexes
    return ["--index-url", first, *(word for other in others for word in ("--extra-index-url", other))]


def environment(bench: Bench) -> dict[str, str]:
    """Return all that a build may know of where it runs."""
    order, place, box = bench.order, bench.place, bench.box
    jobs = str(bench.limits.jobs)
    variables = {
        "HOME": str(box.inside(place.home)),
        "TMPDIR": str(box.inside(place.tmp)),
        "PATH": tools.PATH,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        # Without these a `git clone` in a setup.py waits for a password, or fetches who knows what.
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_ASKPASS": "/bin/false",
        "GIT_TERMINAL_PROMPT": "0",
        "DEBIAN_FRONTEND": "noninteractive",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INPUT": "1",
        # The proxy itself tries upstream again, for up to two minutes; pip asking anew would only add to it.
        "PIP_DEFAULT_TIMEOUT": "120",
        "PIP_RETRIES": "1",
        # The sign by which a setup.py knows this farm, as it knew piwheels.org.
        "PIWHEELS_BUILD": "1",
    }
    if order.uploaded_at is not None and order.uploaded_at >= _EARLIEST_EPOCH:
        variables["SOURCE_DATE_EPOCH"] = str(order.uploaded_at)
    if order.platform != sysconfig.get_platform():
        # A 32-bit system on a 64-bit kernel would name its wheels for the kernel.
        variables["_PYTHON_HOST_PLATFORM"] = order.platform
    # A recipe may say how many jobs run at once and what is linked, and not what keeps a build in its place.
    # Who asks none of these, as ninja under Meson and Cargo, goes by the processors that the warden leaves to
    # a run.
    defaults = {
        "MAKEFLAGS": f"-j{jobs}",
        "CMAKE_BUILD_PARALLEL_LEVEL": jobs,
        # What links OpenSSL by way of Rust brings it, as the next release of the system has another one.
        "OPENSSL_STATIC": "1",
    }
    extra = bench.extra.environment(path=variables["PATH"])
    return {**defaults, **order.environment, **variables, **extra}


def _last_words(log: Log, start: int) -> str:
    """Return the end of what was printed since then."""
    start = max(start, log.size - _LAST_WORDS)
    return log.read(start, _LAST_WORDS).decode(errors="replace")


def fault_of_ours(bench: Bench, outcome: Outcome, made: Made, what: str, words: str) -> PipFailed | None:
    """Return what to raise for a program of ours that could not do its work, whatever it was given.

    Returns None for one that has done it, or that failed for what it was given.
    """
    ended = _SHORT.get(outcome.code, "exit") if outcome.ended == "exit" else outcome.ended
    fault = failed(bench, replace(outcome, ended=ended), made, what, words)
    if ended == "exit":
        fault.failure = _OF_THE_BUILDER.get(outcome.code, "")
    return fault if fault.failure else None


def failed(
    bench: Bench, outcome: Outcome, made: Made, what: str = "`pip wheel`", words: str = ""
) -> PipFailed:
    """Return what to raise for a run that did not end well."""
    if outcome.ended in _ENDS:
        failure, end = _ENDS[outcome.ended]
        return PipFailed(f"{what} {end.format(limits=bench.limits)}.", failure, made)
    end = (
        f"was killed by signal {outcome.code - 128}"
        if outcome.code > 128
        else f"ended with exit code {outcome.code}"
    )
    return PipFailed(f"{what} {end}; {words or 'the log says why'}.", "", made)

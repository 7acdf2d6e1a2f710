"""Does it work?  Installs a wheel into a clean sandbox and imports what it brings.

The builder has libraries and headers that no user has, and an import error there is the user's first sight of
a wheel.  What comes out is told and decides nothing: a module may rightly want a camera, or a display.
"""

import re
import tempfile
import time
import zipfile
import zlib
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

from builder import tools, visible
from builder.bench import Bench
from builder.collect import Wheel
from builder.contract import Trial, legible
from builder.log import Log
from builder.pip_wheel import environment, index_options, quiet_options

# A package's modules are tried, not all that it has below them.
_MOST = 5
# What lies below so many folders is no package of a namespace; a zip can name 30,000 folders in one path.
_DEEPEST = 10
# For all of it: on a Pi, an import that reads much from its card takes many seconds.
_TRIAL_S = 300.0
_LONGEST = 2000
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")
_LARGEST_METADATA = 1 << 20
_PLAINLY_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# A header and the lines that continue it, as in a mail.
_REQUIREMENT = re.compile(
    rb"(?:^|[\r\n])Requires-Dist:([^\r\n]*(?:(?:\r\n?|\n)[ \t][^\r\n]*)*)", re.IGNORECASE
)
# What sources leave at the top by mistake, and nobody imports.
_NOT_MEANT = frozenset(
    {"test", "tests", "doc", "docs", "example", "examples", "benchmark", "benchmarks", "setup"}
)


class Untried(Exception):
    """The wheel could not be tried; the text says why."""


def try_out(bench: Bench, wheel: Wheel, apt: Collection[str]) -> Trial:
    """Install a wheel into an emptied sandbox and import its modules one by one.

    While they are imported, of the system's libraries only those of these apt packages are in sight.
    """
    bench = bench.within(min(_TRIAL_S, bench.order.time_limit_s))
    try:
        modules, requirements = _read(wheel)
        chosen = _installed(bench, wheel, apt, has_others=bool(requirements))
    except Untried as reason:
        return Trial("unknown", (), str(reason))
    imported: list[str] = []
    for module in modules:
        if complaint := _import(chosen, module):
            # What was not given its time has not failed.
            outcome = "fails" if time.monotonic() < bench.until else "unknown"
            return Trial(outcome, tuple(imported), f"import {module}: {complaint}")
        imported.append(module)
    if not imported:
        return Trial("unknown", (), "It has no module that could be imported.")
    return Trial("works", tuple(imported), "")


def _read(wheel: Wheel) -> tuple[tuple[str, ...], list[bytes]]:
    """Return a wheel's modules and what it needs; raises Untried."""
    try:
        with zipfile.ZipFile(wheel.file) as archive:
            modules, requirements = modules_in(archive.namelist()), requirements_in(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        raise Untried("The wheel cannot be read.") from error
    if any(is_direct(requirement) for requirement in requirements):
        # pip would build a source from there, for all that it is told to take wheels only.
        raise Untried("It needs something from an address of its own, and a trial takes nothing from there.")
    return modules, requirements


def _installed(bench: Bench, wheel: Wheel, apt: Collection[str], *, has_others: bool) -> Bench:
    """Install a wheel; return the bench on which a user's libraries are in sight. Raises Untried."""
    path = wheel.copy_to(bench.place.source)
    bench.place.clear()
    if complaint := _install(bench, path):
        raise Untried(f"It could not be installed for a trial: {complaint}")
    others = _of_others(bench, path) if has_others else []
    shown = Path(tempfile.mkdtemp(prefix="shown-", dir=bench.place.root))
    return bench.with_libraries(visible.show(apt, others, shown))


def modules_in(names: Iterable[str]) -> tuple[str, ...]:
    """Return the modules at the top of a wheel with these members; below a namespace, its packages."""
    found: set[str] = set()
    packages: set[PurePosixPath] = set()
    for name in names:
        if name.count("/") > _DEEPEST:
            continue
        path = PurePosixPath(name)
        if path.parts and path.parts[0].endswith((".dist-info", ".data")):
            continue
        if path.name == "__init__.py" or (path.name.startswith("__init__.") and path.suffix == ".so"):
            packages.add(path.parent)
        elif len(path.parts) == 1 and path.suffix in (".py", ".so"):
            found.add(path.name.partition(".")[0])
    for package in packages:
        if not any(parent in packages for parent in package.parents):
            found.add(".".join(package.parts))
    public = [module for module in found if _is_meant(module)]
    # Those without an underscore first: `_cffi_backend` is what `cffi` imports.
    return tuple(
        sorted(public, key=lambda module: (module.startswith("_"), module.count("."), module))[:_MOST]
    )


def requirements_in(archive: zipfile.ZipFile) -> list[bytes]:
    """Return what a wheel's METADATA says that it needs, each as it stands there.

    Raises what zipfile does, and ValueError unless it has one METADATA, no larger than the server takes it
    and not packed so that a few bytes can become any number of them.
    """
    (member,) = (each for each in archive.infolist() if _METADATA.fullmatch(each.filename))
    if member.file_size > _LARGEST_METADATA or member.compress_type not in _PLAINLY_PACKED:
        raise ValueError(f"{member.filename} is too large to be read.")
    with archive.open(member) as content:
        return _REQUIREMENT.findall(content.read(_LARGEST_METADATA))


def is_direct(requirement: bytes) -> bool:
    """Tell whether a requirement says where it is fetched from; only its marker may have an @ otherwise."""
    return b"@" in requirement.partition(b";")[0]


def _is_meant(module: str) -> bool:
    """Tell whether this is a name that somebody would import."""
    parts = module.split(".")
    return all(_IDENTIFIER.fullmatch(part) for part in parts) and parts[0].lower() not in _NOT_MEANT


def _install(bench: Bench, path: Path) -> str:
    """Install a wheel and what it depends on; return what went wrong."""
    return _run(
        bench,
        [
            *(*tools.pip(bench.box), "install", *quiet_options(), *index_options(bench)),
            *(
                "--only-binary",
                ":all:",
                "--no-compile",
                "--target",
                _site(bench),
                str(bench.box.inside(path)),
            ),
        ],
    )


def _import(bench: Bench, module: str) -> str:
    """Import a module in a process of its own; return what went wrong."""
    code = f"import site, importlib; site.addsitedir({_site(bench)!r}); importlib.import_module({module!r})"
    return _run(bench, [tools.python(), "-P", "-s", "-c", code])


def _of_others(bench: Bench, path: Path) -> list[str]:
    """Return the libraries that what was installed beside a wheel needs: these are its affair.

    It is found out inside, as code of strangers may have run where it was installed.
    """
    outcome, names = bench.ask("builder.brought", str(bench.box.inside(path)), _site(bench))
    if outcome.ended != "exit" or outcome.code != 0:
        raise Untried("What its dependencies need of the system could not be found out.")
    return names


def _site(bench: Bench) -> str:
    """Return the folder inside that a wheel is installed into."""
    return str(bench.box.inside(bench.place.home) / "site")


def _run(bench: Bench, command: list[str]) -> str:
    """Run a step of a trial; return the last words of one that fails, and nothing of one that does not."""
    with Log(bench.place.root) as told:
        outcome = bench.run(command, environment=environment(bench), log=told)
        if outcome.ended == "exit" and outcome.code == 0:
            return ""
        words = legible(told.read(max(0, told.size - _LONGEST), _LONGEST).decode(errors="replace"))
    lines = [line for line in words.splitlines() if line.strip()]
    if outcome.ended != "exit":
        return f"it reached a limit: {outcome.ended}"
    if outcome.code > 128:
        return f"it was killed by signal {outcome.code - 128}"
    return lines[-1][:500] if lines else f"it ended with exit code {outcome.code}"

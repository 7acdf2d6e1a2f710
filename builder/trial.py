"""Does it work?  Installs a wheel into a clean sandbox and imports what it brings.

The builder has libraries and headers that no user has, and an import error there is the user's first sight of
a wheel.  What comes out is told and decides nothing: a module may rightly want a camera, or a display.
"""

import re
import tempfile
import time
import zipfile
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from builder import tools, visible
from builder.bench import Bench
from builder.collect import Wheel
from builder.contract import Trial, legible
from builder.log import Log
from builder.pip_wheel import environment, index_options, quiet_options

# A package's modules are tried, not all that it has below them.
_MOST = 5
_MOST_OTHERS = 1000
# What lies below so many folders is no package of a namespace; a zip can name 30,000 folders in one path.
_DEEPEST = 10
# For all of it: on a Pi, an import that reads much from its card takes many seconds.
_TRIAL_S = 300.0
_LONGEST = 2000
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
# What sources leave at the top by mistake, and nobody imports.
_NOT_MEANT = frozenset(
    {"test", "tests", "doc", "docs", "example", "examples", "benchmark", "benchmarks", "setup"}
)


def try_out(bench: Bench, wheel: Wheel, apt: Collection[str]) -> Trial:
    """Install a wheel into an emptied sandbox and import its modules one by one.

    While they are imported, of the system's libraries only those of these apt packages are in sight.
    """
    bench = bench.within(min(_TRIAL_S, bench.order.time_limit_s))
    try:
        with zipfile.ZipFile(wheel.file) as archive:
            members = frozenset(archive.namelist())
            modules = modules_in(members)
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return Trial("unknown", (), "The wheel cannot be read.")
    path = wheel.copy_to(bench.place.source)
    bench.place.clear()
    if complaint := _install(bench, path):
        return Trial("unknown", (), f"It could not be installed for a trial: {complaint}")
    shown = Path(tempfile.mkdtemp(prefix="shown-", dir=bench.place.root))
    others = visible.needed_by(_of_others(bench, members))
    chosen = bench.with_libraries(visible.show(apt, others, shown))
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


def _of_others(bench: Bench, members: Collection[str]) -> Iterator[Path]:
    """Yield the libraries that a wheel's dependencies brought: what those need is their affair.

    They are read by the builder itself, so no longer than the trial may take, and the build goes on.
    """
    site = bench.place.home / "site"
    found = (path for path in site.rglob("*.so*") if str(path.relative_to(site)) not in members)
    libraries = (path for path in found if path.is_file() and not path.is_symlink())
    for path in islice(libraries, _MOST_OTHERS):
        if bench.stop.is_set() or time.monotonic() > bench.until:
            return
        yield path


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

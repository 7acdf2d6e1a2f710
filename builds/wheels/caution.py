"""Does a wheel put code in other people's way?

Such a wheel may be well meant, and some of the most used ones do it, so it is not refused: it is held until
a person has looked.  What is held: whatever runs at each start of Python (`.pth`, `sitecustomize`), what has
the name of a module of the standard library or of the tools that install packages, and what makes pip
fetch something from elsewhere.  Not held: the `.pth` files of a few packages that everybody has, and those
that setuptools made for namespaces, if they do nothing else and for a folder of this very wheel.
"""

import re
import sys
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain, islice

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Modules that left the standard library with Python 3.12 and 3.13 (PEP 594 and 632), as their successors on
# PyPI have their names.
_GONE = frozenset(
    {
        *("aifc", "asynchat", "asyncore", "audioop", "cgi", "cgitb", "chunk", "crypt", "distutils", "imghdr"),
        *("imp", "lib2to3", "mailcap", "msilib", "nis", "nntplib", "ossaudiodev", "pipes", "smtpd", "sndhdr"),
        *("spwd", "sunau", "telnetlib", "uu", "xdrlib"),
    }
)
_STANDARD = frozenset(sys.stdlib_module_names) - _GONE
_AT_START = frozenset({"sitecustomize", "usercustomize"})
# Which package the modules of installers come with.
_TOOLS = {
    "_distutils_hack": "setuptools",
    "pip": "pip",
    "pkg_resources": "setuptools",
    "setuptools": "setuptools",
    "uv": "uv",
    "wheel": "wheel",
}
# What a person has looked at already, as everybody has these.
_KNOWN_PTH = {
    ("coverage", "a1_coverage.pth"),
    ("pytest-cov", "pytest-cov.pth"),
    ("setuptools", "distutils-precedence.pth"),
}
_LARGEST_PTH = 64 << 10
# Real wheels have one `.pth`, of a line for each namespace; to read thousands of them would take hours.
_MOST_PTH = 20
_MOST_LINES = 64
# So many reasons are enough to look at a wheel, and as many as a page has room for.
_MOST_REASONS = 10
_SCRIPT = re.compile(r"(python|pip)[\d.]*(\.exe)?")
_PROGRAMS = frozenset({"console_scripts", "gui_scripts"})
# Of entry_points.txt; a line for each program.
MAX_ENTRY_POINTS = 1 << 20

# The steps of the `-nspkg.pth` that setuptools made for each namespace package for a decade; they only make
# the module that the package says it is part of.
_NAMESPACE = (
    "import sys, types, os",
    "has_mfs = sys.version_info > (3, 5)",
    "p = os.path.join(sys._getframe(1).f_locals['sitedir'], *{path!r})",
    "importlib = has_mfs and __import__('importlib.util')",
    "has_mfs and __import__('importlib.machinery')",
    "importlib = __import__('importlib.util')",
    "__import__('importlib.machinery')",
    "m = has_mfs and sys.modules.setdefault({module!r}, importlib.util.module_from_spec("
    "importlib.machinery.PathFinder.find_spec({module!r}, [os.path.dirname(p)])))",
    "m = sys.modules.setdefault({module!r}, importlib.util.module_from_spec("
    "importlib.machinery.PathFinder.find_spec({module!r}, [os.path.dirname(p)])))",
    "m = m or sys.modules.setdefault({module!r}, types.ModuleType({module!r}))",
    "mp = (m or []) and m.__dict__.setdefault('__path__',[])",
    "(p not in mp) and mp.append(p)",
    "m and setattr(sys.modules[{parent!r}], {child!r}, m)",
)
_NAMESPACE_MODULE = re.compile(r"types\.ModuleType\('([A-Za-z_][A-Za-z0-9_.]*)'\)")


def reason_to_hold(
    package: str, names: Collection[str], requirements: Collection[str], read: Callable[[str, int], bytes]
) -> str:
    """Return why a person must look at a wheel with these files first; "" when nobody must.

    `read` returns the bytes of a file of the wheel, of at most so many bytes.
    """
    every = _distinct(chain(_about_files(package, names, read), _about_requirements(requirements)))
    reasons = list(islice(every, _MOST_REASONS + 1))
    if len(reasons) > _MOST_REASONS:
        reasons[_MOST_REASONS:] = ["There is more of that kind."]
    return " ".join(reasons)


def _distinct(sentences: Iterator[str]) -> Iterator[str]:
    """Yield each sentence once."""
    seen = set()
    for sentence in sentences:
        if sentence not in seen:
            seen.add(sentence)
            yield sentence


def _about_files(package: str, names: Collection[str], read: Callable[[str, int], bytes]) -> Iterator[str]:
    """Yield what a person should know of the files, in a sentence each."""
    placed = [(name, *_place(name)) for name in names]
    paths = sorted(path for _, place, path in placed if place == "modules")
    at_start = [path for path in paths if "/" not in path and path.endswith(".pth")]
    if len(at_start) > _MOST_PTH:
        yield f"{len(at_start)} files ({at_start[0]}, …) run, or add folders, at each start of Python."
        at_start = []
    unknown = {path for path in at_start if (package, path) not in _KNOWN_PTH}
    for name, place, path in placed:
        if place == "modules":
            if path in unknown and not _is_namespace(read(name, _LARGEST_PTH), package, paths):
                yield f"{path} runs, or adds folders, at each start of Python."
            elif path.endswith(".dist-info/entry_points.txt") and path.count("/") == 1:
                found = programs(read(name, MAX_ENTRY_POINTS))
                yield from filter(None, (_about_program(package, program) for program in found))
        elif place == "scripts":
            yield from filter(None, [_about_program(package, path)])
        elif place == "data":
            yield from filter(None, [_about_data(package, path)])
    tops = (path.partition("/")[0] for path in paths)
    modules = {top.split(".", 1)[0] for top in tops if not top.endswith((".dist-info", ".pth"))}
    yield from filter(None, (_about_module(package, module) for module in sorted(modules)))


def programs(content: bytes) -> list[str]:
    """Return the names of the programs that an installer makes of an entry_points.txt."""
    group, found = "", []
    for line in map(str.strip, content.decode(errors="replace").splitlines()):
        if line.startswith("["):
            # Some installers pass over case and spaces here, and end a name at a colon, too.
            group = line.strip("[] ").lower()
        elif group in _PROGRAMS and line:
            found.append(re.split("[=:]", line, maxsplit=1)[0].strip())
    return found


def _about_program(package: str, name: str) -> str:
    """Return that a program has another one's name, in a sentence; "" when it has one of its own."""
    return f"It installs a program {name}." if _SCRIPT.fullmatch(name) and package != "pip" else ""


def _about_data(package: str, path: str) -> str:
    """Return what a file does beside all packages, in a sentence; "" when that is nothing."""
    # A Python of one's own has its standard library in the latter two.
    if (
        "site-packages/" in path
        or "dist-packages/" in path
        or path.startswith(("lib/python", "lib64/python"))
    ):
        return f"It installs {path} past the installer's back."
    if path == "pyvenv.cfg":
        return "pyvenv.cfg says which Python an environment has."
    # pip reads it there for all that it installs into the environment, from wherever it says.
    if path in ("pip.conf", "pip.ini"):
        return f"{path} says from where pip installs all else."
    return _about_program(package, path.removeprefix("bin/")) if path.startswith("bin/") else ""


def _about_module(package: str, module: str) -> str:
    """Return whose name a module has, in a sentence; "" when it has one of its own."""
    if module in _AT_START:
        return f"{module} runs at each start of Python."
    if module in _STANDARD and canonicalize_name(module) != package:
        return f"It has a module {module}, which is one of the standard library's."
    if _TOOLS.get(module, package) != package:
        return f"It has a module {module}, which is {_TOOLS[module]}'s."
    return ""


def _place(name: str) -> tuple[str, str]:
    """Return where an installer puts a file, as "modules", "scripts" or "data", and its path there."""
    top, _, rest = name.partition("/")
    if not top.endswith(".data") or not rest:
        return "modules", name
    place, _, path = rest.partition("/")
    return ("modules" if place in ("purelib", "platlib") else place), path


def _is_namespace(content: bytes, package: str, paths: Sequence[str]) -> bool:
    """Tell whether a `.pth` does but what setuptools' own do, for namespaces that the wheel is part of."""
    written = [line for line in content.decode("ascii", "replace").splitlines() if line.strip()]
    is_honest = 0 < len(written) <= _MOST_LINES
    return is_honest and all(_makes_namespace(line, package, paths) for line in written)


def _makes_namespace(line: str, package: str, paths: Sequence[str]) -> bool:
    """Tell whether a line of a `.pth` makes a namespace of a folder of the wheel, and nothing else.

    The paths are sorted, so those of a folder are next to each other.
    """
    found = _NAMESPACE_MODULE.search(line)
    # What does not begin so is a folder that Python adds.
    if found is None or not line.startswith("import "):
        return False
    module = found[1]
    parent, _, child = module.rpartition(".")
    path = tuple(module.split("."))
    known = {each.format(path=path, module=module, parent=parent, child=child) for each in _NAMESPACE}
    folder = f"{'/'.join(path)}/"
    place = bisect_left(paths, folder)
    is_here = place < len(paths) and paths[place].startswith(folder)
    return is_here and not _about_module(package, path[0]) and set(map(str.strip, line.split(";"))) <= known


def _about_requirements(requirements: Collection[str]) -> Iterator[str]:
    """Yield the requirements that pip would fetch from an address of its own."""
    for line in requirements:
        if "@" in line and (url := Requirement(line).url):
            yield f"It requires {Requirement(line).name} from {url[:200]}."

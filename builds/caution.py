"""Does a wheel put code in other people's way?

Such a wheel may be well meant, and some of the most used ones do it, so it is not refused: it is held until
a person has looked.  What is held: whatever runs at each start of Python (`.pth`, `sitecustomize`), what has
the name of a module of the standard library or of the tools that install packages, and what makes pip
fetch something from elsewhere.  Not held: the `.pth` files of a few packages that everybody has, and those
that setuptools made for namespaces, if they do nothing else.
"""

import re
import sys
from collections.abc import Callable, Collection, Iterator

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
_SCRIPT = re.compile(r"(python|pip)[\d.]*(\.exe)?")

# The steps of the `-nspkg.pth` that setuptools made for each namespace package for a decade, with * for the
# names in it; they only make the module that the package says it is part of.
_NAMESPACE = frozenset(
    {
        "import sys, types, os",
        "has_mfs = sys.version_info > (3, 5)",
        "p = os.path.join(sys._getframe(1).f_locals[*], *(*))",
        "importlib = has_mfs and __import__(*)",
        "has_mfs and __import__(*)",
        "importlib = __import__(*)",
        "__import__(*)",
        "m = has_mfs and sys.modules.setdefault(*, importlib.util.module_from_spec("
        "importlib.machinery.PathFinder.find_spec(*, [os.path.dirname(p)])))",
        "m = sys.modules.setdefault(*, importlib.util.module_from_spec("
        "importlib.machinery.PathFinder.find_spec(*, [os.path.dirname(p)])))",
        "m = m or sys.modules.setdefault(*, types.ModuleType(*))",
        "mp = (m or []) and m.__dict__.setdefault(*,[])",
        "(p not in mp) and mp.append(p)",
        "m and setattr(sys.modules[*], *, m)",
    }
)
_IMPORTABLE = frozenset({"importlib.util", "importlib.machinery"})


def reason_to_hold(
    package: str, names: Collection[str], requirements: Collection[str], read: Callable[[str, int], bytes]
) -> str:
    """Return why a person must look at a wheel with these files first; "" when nobody must.

    `read` returns the bytes of a file of the wheel, of at most so many bytes.
    """
    return " ".join([*_about_files(package, names, read), *_about_requirements(requirements)])


def _about_files(package: str, names: Collection[str], read: Callable[[str, int], bytes]) -> Iterator[str]:
    """Yield what a person should know of the files, in a sentence each."""
    modules = set()
    for name in names:
        place, path = _place(name)
        if place == "modules":
            top, _, rest = path.partition("/")
            modules.add("" if top.endswith((".dist-info", ".pth")) else top.split(".", 1)[0])
            is_new = not rest and path.endswith(".pth") and (package, path) not in _KNOWN_PTH
            if is_new and not _is_namespace(read(name, _LARGEST_PTH)):
                yield f"{path} runs, or adds folders, at each start of Python."
        elif place == "scripts" and _SCRIPT.fullmatch(path) and package != "pip":
            yield f"It installs a program {path}."
        elif place == "data" and ("site-packages/" in path or "dist-packages/" in path):
            yield f"It installs {path} past the installer's back."
    yield from filter(None, (_about_module(package, module) for module in sorted(modules)))


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


def _is_namespace(content: bytes) -> bool:
    """Tell whether a `.pth` does nothing but what setuptools' own do for namespace packages."""
    text = content.decode("ascii", "replace")
    named = re.findall(r"__import__\('([^']*)'\)", text)
    bare = re.sub(r"'[A-Za-z0-9_.-]*'", "*", text)
    bare = re.sub(r"\*\((?:\*, ?)*\*?,?\)", "*(*)", bare)
    steps = {step.strip() for step in bare.replace("\n", ";").split(";") if step.strip()}
    return bool(steps) and steps <= _NAMESPACE and set(named) <= _IMPORTABLE


def _about_requirements(requirements: Collection[str]) -> Iterator[str]:
    """Yield the requirements that pip would fetch from an address of its own."""
    for line in requirements:
        if "@" in line and (url := Requirement(line).url):
            yield f"It requires {Requirement(line).name} from {url[:200]}."

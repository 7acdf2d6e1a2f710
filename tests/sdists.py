"""Makes sdists and wheels as bytes, for tests that build, serve and install them.

An sdist brings its own build backend (PEP 517 with `backend-path`) and requires nothing, so that building it
needs no network.
"""

import base64
import csv
import gzip
import hashlib
import io
import json
import re
import tarfile
import zipfile

from packaging.utils import canonicalize_name, canonicalize_version

# What every backend below begins with.  It runs on the Python that builds, which may be older than ours.
_BACKEND = '''\
"""An in-tree build backend: it zips what it is told to, and needs nothing."""
import base64, hashlib, json, os, shlex, subprocess, sys, sysconfig, time, zipfile
from pathlib import Path

FACTS = json.loads(Path("_backend.json").read_text())
INFO = FACTS["stem"] + ".dist-info"


def tag():
    """Return the tag of the wheel to build."""
    if not FACTS["extension"]:
        return "py3-none-any"
    python = "cp%d%d" % sys.version_info[:2]
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return "%s-%s%s-%s" % (python, python, getattr(sys, "abiflags", ""), platform)


def info():
    """Return the members of .dist-info, without RECORD."""
    wheel = "Wheel-Version: 1.0\\nGenerator: in-tree\\nRoot-Is-Purelib: %s\\nTag: %s\\n"
    return {
        INFO + "/METADATA": Path("PKG-INFO").read_bytes(),
        INFO + "/WHEEL": (wheel % ("false" if FACTS["extension"] else "true", tag())).encode(),
    }


def record(members):
    """Return RECORD for these members."""
    lines = []
    for name, content in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        lines.append("%s,sha256=%s,%d\\n" % (name, digest, len(content)))
    return "".join(lines + [INFO + "/RECORD,,\\n"]).encode()


def compiled():
    """Compile the extension with the compiler that this Python was built with, and return its member."""
    name = FACTS["extension"] + sysconfig.get_config_var("EXT_SUFFIX")
    command = shlex.split(sysconfig.get_config_var("CC") or "cc") + ["-shared", "-fPIC", "-O1"]
    command += ["-I" + sysconfig.get_path(path) for path in ("include", "platinclude")]
    command += [FACTS["extension"] + ".c", "-o", name]
    # The library is wanted even if nothing of it is called, so that the wheel depends on it.
    command += ["-Wl,--no-as-needed"] + ["-l" + library for library in FACTS["libraries"]]
    print("compiling:", " ".join(command), flush=True)
    subprocess.run(command, check=True)
    return {name: Path(name).read_bytes()}


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    """Write .dist-info without building."""
    folder = Path(metadata_directory, INFO)
    folder.mkdir()
    for name, content in info().items():
        Path(metadata_directory, name).write_bytes(content)
    return INFO


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Build the wheel and return its name."""
    trouble()
    members = {name: Path(name).read_bytes() for name in FACTS["members"]}
    if FACTS["extension"]:
        members.update(compiled())
    members.update(info())
    members[INFO + "/RECORD"] = record(members)
    filename = "%s-%s.whl" % (FACTS["stem"], tag())
    date = time.gmtime(max(int(os.environ.get("SOURCE_DATE_EPOCH", 0)), 315532800))[:6]
    with zipfile.ZipFile(Path(wheel_directory, filename), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, date), content)
    return filename
'''

_NO_TROUBLE = '''

def trouble():
    """Let the build begin at once."""
'''

_FAILURE = '''

def trouble():
    """Fail, as the test wants it."""
    raise RuntimeError(FACTS["message"])
'''

_SLOWNESS = '''

def trouble():
    """Take time, and show it."""
    end = time.monotonic() + FACTS["seconds"]
    while (left := end - time.monotonic()) > 0:
        print("still building, %.1f s left" % left, flush=True)
        time.sleep(min(left, 0.2))
'''

_BULK = '''

def trouble():
    """Make a member that no archive makes smaller, and that is the same each time."""
    import random
    chance, size = random.Random(FACTS["stem"]), FACTS["size"]
    Path("bulk.bin").write_bytes(chance.getrandbits(8 * size).to_bytes(size, "big"))
    FACTS["members"].append("bulk.bin")
'''

_DEAFNESS = '''

DEAF = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) > 2:
    os.setsid()
time.sleep(3600)
"""


def trouble():
    """Be several processes that hear no SIGTERM, some in sessions of their own, and say nothing for ever."""
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for number in range(FACTS["processes"]):
        away = ["away"] if number % 2 else []
        subprocess.Popen([sys.executable, "-c", DEAF, FACTS["mark"], *away])
    time.sleep(3600)
'''

_CHOOSINESS = '''

def trouble():
    """Fail as for want of a header, unless the environment has what a recipe brings."""
    if not os.environ.get(FACTS["variable"]):
        print("_ffi.c:1:10: fatal error: ffi.h: No such file or directory", flush=True)
        raise RuntimeError("the compiler failed")
'''

# The backend of packages that build.
PURE_BACKEND = _BACKEND + _NO_TROUBLE
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "_backend"\nbackend-path = ["."]\n'

_C = """\
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *answer(PyObject *self, PyObject *args) { return PyLong_FromLong(42); }

static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, "Return 42."}, {NULL, NULL, 0, NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "@", NULL, -1, methods};

PyMODINIT_FUNC PyInit_@(void) { return PyModule_Create(&module); }
"""


def module_name(name: str) -> str:
    """Return the name of the module that a package of that name has here."""
    return canonicalize_name(name).replace("-", "_")


def pure_sdist(
    name: str, version: str, *, requires_python: str = "", requires: tuple[str, ...] = ()
) -> bytes:
    """Return an sdist that builds a `py3-none-any` wheel with one module, whose `ANSWER` is 42."""
    module = f"{module_name(name)}.py"
    return make_sdist(
        name, version, {module: "ANSWER = 42\n"}, requires_python=requires_python, requires=requires
    )


def c_sdist(
    name: str,
    version: str,
    *,
    requires_python: str = "",
    requires: tuple[str, ...] = (),
    libraries: tuple[str, ...] = (),
) -> bytes:
    """Return an sdist that compiles the extension `_<name>`, whose `answer()` is 42, and a module over it.

    The extension is linked with `libraries`, as ("z",).
    """
    module = module_name(name)
    return make_sdist(
        name,
        version,
        {f"{module}.py": f"from _{module} import answer\n", f"_{module}.c": _C.replace("@", f"_{module}")},
        extension=f"_{module}",
        libraries=libraries,
        requires_python=requires_python,
        requires=requires,
    )


def failing_sdist(name: str, version: str, message: str) -> bytes:
    """Return an sdist whose build fails with that message."""
    return make_sdist(name, version, {}, backend=_BACKEND + _FAILURE, message=message)


def choosy_sdist(name: str, version: str, variable: str) -> bytes:
    """Return an sdist that lacks a header unless that variable is set, and then makes a pure wheel."""
    module = f"{module_name(name)}.py"
    return make_sdist(
        name, version, {module: "ANSWER = 42\n"}, backend=_BACKEND + _CHOOSINESS, variable=variable
    )


def slow_sdist(name: str, version: str, seconds: float) -> bytes:
    """Return an sdist whose build prints lines for that many seconds, then makes a pure wheel."""
    module = f"{module_name(name)}.py"
    return make_sdist(name, version, {module: "ANSWER = 42\n"}, backend=_BACKEND + _SLOWNESS, seconds=seconds)


def bulky_sdist(name: str, version: str, size: int) -> bytes:
    """Return a small sdist that makes a pure wheel of that many bytes and some."""
    return make_sdist(name, version, {}, backend=_BACKEND + _BULK, size=size)


def deaf_sdist(name: str, version: str, processes: int, mark: str) -> bytes:
    """Return an sdist whose build is also that many silent processes with that argument, deaf to SIGTERM."""
    module = f"{module_name(name)}.py"
    facts = {"processes": processes, "mark": mark}
    return make_sdist(name, version, {module: ""}, backend=_BACKEND + _DEAFNESS, **facts)


def heavy_sdist(name: str, version: str, functions: int) -> bytes:
    """Return an sdist whose extension takes a compiler some time: 100 functions some 4 s."""
    module = f"_{module_name(name)}"
    lines = "".join(
        f"    if (n % {k}) a[n % 8] = a[{k} % 8] * n + (n >> {k}); else n ^= a[{k % 7}];\n"
        for k in range(3, 23)
    )
    body = "".join(
        f"int work{number}(int *a, int n) {{\n"
        f"  for (int i = 0; i < n; ++i) {{\n{lines}  }}\n  return n;\n}}\n"
        for number in range(functions)
    )
    files: dict[str, str | bytes] = {
        f"{module_name(name)}.py": f"from {module} import answer\n",
        f"{module}.c": _C.replace("@", module) + body,
    }
    return make_sdist(name, version, files, extension=module)


def make_sdist(
    name: str,
    version: str,
    files: dict[str, str | bytes],
    *,
    backend: str = PURE_BACKEND,
    extension: str = "",
    libraries: tuple[str, ...] = (),
    requires_python: str = "",
    requires: tuple[str, ...] = (),
    **facts: object,
) -> bytes:
    """Return a .tar.gz with these files, a `pyproject.toml` and an in-tree backend.

    `backend` is the backend's source; it finds `facts` in `_backend.json`.  Every file but C sources goes
    into the wheel.  The same arguments give the same bytes.
    """
    told = {
        **facts,
        "stem": stem(name, version),
        "members": [path for path in files if not path.endswith(".c")],
        "extension": extension,
        "libraries": libraries,
    }
    contents = {
        "PKG-INFO": metadata(name, version, requires_python=requires_python, requires=requires),
        "pyproject.toml": PYPROJECT,
        "_backend.py": backend,
        "_backend.json": json.dumps(told),
        **files,
    }
    return _tar_gz(stem(name, version), contents)


def make_wheel(
    name: str,
    version: str,
    tag: str = "py3-none-any",
    *,
    requires_python: str = "",
    requires: tuple[str, ...] = (),
    build_tag: str = "",
    answer: int = 42,
    padding: bytes = b"",
    command: str = "",
) -> bytes:
    """Return a valid wheel with one module, whose `ANSWER` is 42 or another, and perhaps something big.

    With a `command` it is an application, which says the answer.
    """
    info = f"{stem(name, version)}.dist-info"
    tags = "".join(
        f"Tag: {python}-{abi}-{platform}\n"
        for python in tag.split("-", 1)[0].split(".")
        for abi in tag.split("-")[1].split(".")
        for platform in tag.split("-")[2].split(".")
    )
    tags += f"Build: {build_tag}\n" if build_tag else ""
    purelib = str(tag.endswith("-any")).lower()
    members: dict[str, bytes] = {
        f"{module_name(name)}.py": f"ANSWER = {answer}\n".encode(),
        f"{info}/METADATA": metadata(
            name, version, requires_python=requires_python, requires=requires
        ).encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: {purelib}\n{tags}".encode(),
    }
    if padding:
        members[f"{module_name(name)}.bin"] = padding
    if command:
        members[f"{module_name(name)}.py"] += b"\n\ndef main():\n    print(ANSWER)\n"
        points = f"[console_scripts]\n{command} = {module_name(name)}:main\n"
        members[f"{info}/entry_points.txt"] = points.encode()
    members[f"{info}/RECORD"] = _record(members, f"{info}/RECORD")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0)), content)
    return buffer.getvalue()


def stem(name: str, version: str) -> str:
    """Return what the names of a package's files begin with (PEP 625), as `demo_pkg-1.0`."""
    return f"{module_name(name)}-{canonicalize_version(version, strip_trailing_zero=False)}"


def metadata(name: str, version: str, *, requires_python: str = "", requires: tuple[str, ...] = ()) -> str:
    """Return core metadata."""
    lines = ["Metadata-Version: 2.2", f"Name: {name}", f"Version: {version}", "Summary: Made for a test"]
    lines += [f"Requires-Python: {requires_python}"] if requires_python else []
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    extras = re.findall(r"""extra == ['"]([^'"]+)['"]""", " ".join(requires))
    lines += [f"Provides-Extra: {extra}" for extra in dict.fromkeys(extras)]
    return "\n".join(lines) + "\n"


def _record(members: dict[str, bytes], own: str) -> bytes:
    """Return RECORD for these members; its own line has no digest."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for name, content in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        writer.writerow([name, f"sha256={digest}", len(content)])
    writer.writerow([own, "", ""])
    return text.getvalue().encode()


def _tar_gz(folder: str, contents: dict[str, str | bytes]) -> bytes:
    """Return a .tar.gz of these files in one folder."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        for path, content in contents.items():
            member = tarfile.TarInfo(f"{folder}/{path}")
            body = content.encode() if isinstance(content, str) else content
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return buffer.getvalue()

"""Logs of builds that failed, each with the class, what it is about, and what the suggestion must name.

The first line of each log tells whether a build printed it, or who wrote it in the words of which tool.
"""

import random
import re
import time
from pathlib import Path

import pytest

from builds import failures
from builds.apt_contents import package_with

LOGS = Path(__file__).with_name("logs")

CASES = [
    ("aiohttp", "removed-c-api", "longintrepr.h", ""),
    (
        "bad-metadata-project",
        "bad-metadata",
        "`project.license` must be valid exactly by one definition (0",
        "",
    ),
    (
        "bad-metadata-requires",
        "bad-metadata",
        "demo setup command: 'install_requires' must be a string or i",
        "",
    ),
    ("bad-metadata-version", "bad-metadata", "1.0-final-rc!x", ""),
    ("cmake-too-new", "cmake-too-new", "Compatibility with CMake < 3.5", "CMAKE_POLICY_VERSION_MINIMUM"),
    ("cmake-too-old", "cmake-too-old", "CMake with version >=9.31", ""),
    ("compile-error", "compile-error", "demo.c:3:21: error: ‘undeclared_thing’ undeclared (first use", ""),
    ("conflicting-requirements", "unmet-requirement", "packaging==24.0 and packaging==25.0", ""),
    ("dbus-python", "missing-pkgconfig", "dbus-1", "libdbus-1-dev"),
    ("disk-full", "disk-full", "No space left on device", ""),
    ("functools32", "python2-only", "backport is for Python 2.7", ""),
    ("incomplete-source-c", "incomplete-source", "src/missing.c", ""),
    ("incomplete-source", "incomplete-source", "requirements.txt", "MANIFEST.in"),
    ("inconsistent-name", "bad-metadata", "name: expected 'demo', but metadata has 'other'", ""),
    ("index-unreachable", "index-unreachable", "/simple/setuptools/", "by itself"),
    ("llvmlite", "python-not-supported", "3.13.0; only versions >=3.7,<3.11 are supported.", ""),
    ("missing-build-requirement", "missing-build-requirement", "scipy_build_thing", ""),
    ("missing-cmake-config", "missing-cmake-package", "Snappy", "libsnappy-dev"),
    ("missing-cmake-package", "missing-cmake-package", "GSL", "libgsl-dev"),
    ("missing-header-clang", "missing-header", "portaudio.h", "portaudio19-dev"),
    ("missing-library-ld", "missing-library", "snappy", "libsnappy-dev"),
    ("missing-pkgconfig-meson", "missing-pkgconfig", "gsl", "libgsl-dev"),
    ("missing-tool-gcc", "missing-tool", "gcc", "build-essential"),
    ("missing-tool-meson", "missing-tool", "gfortran", "gfortran"),
    ("missing-tool-sh", "missing-tool", "bison", "bison"),
    ("missing-tool-subprocess", "missing-tool", "swig", "swig"),
    ("mysql-python", "python2-only", "ConfigParser", ""),
    ("mysqlclient", "missing-pkgconfig", "libmariadb", "default-libmysqlclient-dev"),
    ("needs-network-address", "needs-network", "127.0.0.1", ""),
    ("needs-network-dns", "needs-network", "data.invalid", ""),
    ("needs-network-git", "needs-network", "localhost.invalid", ""),
    ("needs-network-protocol", "needs-network", "https", ""),
    ("needs-network-urlopen", "needs-network", "urlopen error [Errno 111] Connection refused>", ""),
    ("not-for-32-bit", "not-for-32-bit", "__int128", ""),
    ("numpy-descr", "numpy-too-new", "PyArray_Descr", ""),
    ("numpy-distutils", "numpy-too-new", "numpy.distutils", ""),
    ("numpy-too-new", "numpy-too-new", "float_", "numpy<2"),
    ("numpy", "unmet-requirement", "numpy==1.24.4", ""),
    ("other-system-header", "other-system", "windows.h", ""),
    ("other-system-winreg", "other-system", "winreg", ""),
    ("out-of-memory-cc1plus", "out-of-memory", "Cannot allocate memory", ""),
    ("out-of-memory-killed", "out-of-memory", "cc1plus", "larger builder"),
    ("out-of-memory-python", "out-of-memory", "MemoryError", ""),
    ("out-of-memory-rust", "out-of-memory", "SIGKILL", ""),
    ("pyaudio", "missing-header", "portaudio.h", "portaudio19-dev"),
    ("pycups", "missing-header", "cups/http.h", "libcups2-dev"),
    ("pygobject", "missing-pkgconfig", "cairo", "libcairo2-dev"),
    ("pymssql", "cython-too-new", "Cython.Compiler.Errors.CompileError", ""),
    ("python-ldap", "missing-header", "lber.h", "libldap-dev"),
    ("python-not-supported", "python-not-supported", "3.13.0 not in '>=3.14'", ""),
    ("python2-except", "python2-only", "multiple exception types must be parenthesized", ""),
    ("python2-print", "python2-only", "Missing parentheses in call to 'print'", ""),
    ("pyyaml5", "cython-too-new", "cython_sources", "cython<3"),
    ("removed-ast-num", "removed-python-api", "ImpImporter", ""),
    ("removed-c-api-cpp", "removed-c-api", "_PyUnicode_Ready", ""),
    ("removed-c-api-member", "removed-c-api", "exc_type", ""),
    ("removed-collections", "removed-python-api", "MutableMapping", ""),
    ("removed-distutils", "removed-python-api", "distutils", ""),
    ("removed-imp", "removed-python-api", "imp", ""),
    ("removed-setuptools-api", "removed-setuptools-api", "pkg_resources", "setuptools<82"),
    ("rpy2", "missing-tool", "R", ""),
    ("crates-missing", "crates-missing", "crates", "PIWHEELS_CRATES"),
    ("rust-compile", "compile-error", "could not compile `demo`", ""),
    ("rust-edition", "rust-too-old", "edition2024", ""),
    ("rust-missing-maturin", "rust-missing", "puccinialin", "rustup"),
    ("rust-missing-setuptools", "rust-missing", "can't find Rust compiler", ""),
    ("rust-requires-rustc", "rust-too-old", "requires rustc 1.81", ""),
    ("rust-too-old", "rust-too-old", "rust-version 9.99", ""),
    (
        "scm-version",
        "scm-version",
        "setuptools-scm was unable to detect version",
        "SETUPTOOLS_SCM_PRETEND_VERSION",
    ),
    ("subprocess-cmake", "missing-tool", "cmake", "cmake"),
    ("syntax-error", "syntax-error", "SyntaxError: invalid syntax", ""),
    (
        "too-many-processes",
        "too-many-processes",
        "BlockingIOError: [Errno 11] Resource temporarily unavailable",
        "",
    ),
    ("too-many-threads", "too-many-processes", "can't start new thread", "MAX_JOBS=1"),
    ("undefined-reference", "undefined-reference", "g", ""),
    ("unknown-exit", "unknown", "Configuration incomplete, giving up.", ""),
    ("unknown-raise", "unknown", "RuntimeError: This name is reserved; please install demo-cor", ""),
    ("unmet-requirement", "unmet-requirement", "setuptools>=999", ""),
    ("use2to3", "removed-setuptools-api", "use_2to3", "setuptools<82"),
]


def log_of(case):
    return (LOGS / f"{case}.txt").read_text().partition("\n")[2]


@pytest.mark.parametrize(("case", "key", "about", "suggests"), CASES)
def test_a_log_is_explained(case, key, about, suggests):
    found = failures.classify(log_of(case), told="")

    assert (found.failure.key, found.about[:60]) == (key, about)
    said, told = found.suggestion("bookworm"), found.for_operators("bookworm")
    assert suggests in f"{said} {told}"
    assert "{" not in found.sentence + said + told


def test_no_two_classes_have_one_title():
    titles = [failure.title for failure in failures.classes().values()]

    assert sorted(titles) == sorted(set(titles))


@pytest.mark.parametrize("failure", failures.classes().values(), ids=lambda failure: failure.key)
def test_who_wants_a_package_is_not_told_in_the_words_of_the_admin(failure):
    assert not re.search(r"\b(recipe|rung|campaign|PIWHEELS_)", failure.suggestion, re.I)
    assert failure.suggestion


def test_every_log_has_a_case_and_says_where_it_is_from():
    assert {path.stem for path in LOGS.iterdir()} == {case for case, *_ in CASES}
    for path in LOGS.iterdir():
        assert path.read_text().startswith(("# Real: ", "# Written by hand, "))
        assert path.stat().st_size < 8_000


def test_every_class_is_shown_by_a_log_or_told_by_the_builder():
    shown = {key for _, key, *_ in CASES}

    unshown = {key for key, failure in failures.classes().items() if key not in shown and not failure.is_told}

    assert unshown == {"builder-lost", "file-lost"}


def test_what_the_builder_alone_can_see_is_believed():
    assert failures.classify(log_of("pyaudio"), told="timeout").failure.key == "timeout"
    assert failures.classify("", told="builder-disk-full").failure.is_infrastructure


@pytest.mark.parametrize("told", ["builder-lost", "index-unreachable", "missing-header", "nonsense", ""])
def test_what_a_builder_cannot_know_better_is_read_from_the_log(told):
    assert failures.classify(log_of("pyaudio"), told).failure.key == "missing-header"


def test_what_explains_goes_before_what_follows_from_it():
    log = "a.c:1:10: fatal error: ffi.h: No such file or directory\na.c:9:1: error: unknown type name 'ffi'\n"

    assert failures.classify(log, "").about == "ffi.h"


def test_of_several_the_last_is_the_one_that_ended_the_build():
    log = "a.c:1:1: fatal error: a.h: No such file or directory\nld: cannot find -lffi: No such file\n"

    assert failures.classify(log, "").failure.key == "missing-library"


def test_an_error_far_before_the_end_is_found_when_the_end_says_nothing():
    log = log_of("pyaudio") + "make: leaving\n" * 20_000

    assert failures.classify(log, "").about == "portaudio.h"


def test_an_unknown_failure_shows_its_last_error():
    found = failures.classify(log_of("unknown-raise"), "")

    assert "RuntimeError: This name is reserved" in found.sentence
    assert failures.error_block(log_of("unknown-raise")).endswith("install demo-core instead.")


def test_a_kept_diagnosis_survives_a_class_that_went():
    assert failures.of("missing-header", "ffi.h").apt("bookworm") == "libffi-dev"
    assert failures.of("once-known", "x") is None


@pytest.mark.parametrize("about", ["{about}", "{0.__class__}", "%s", "</script>"])
def test_what_a_log_says_is_no_template(about):
    assert about in failures.of("missing-header", about).sentence


NOISE = random.Random(7)


@pytest.mark.parametrize(
    "log",
    [
        "",
        "\n" * 1_000_000,
        " " * 10_485_760,
        "a" * 10_485_760,
        ("x" * 100_000 + "\n") * 100,
        "fatal error: " * 800_000,
        "a.c:1:1: fatal error: " + "a/" * 5_000_000,
        "CMake Error\n  " * 700_000,
        "Error: " * 1_500_000,
        "package configuration file provided " + " " * 300_000 + "by",
        "WARNING: Retrying (Retry(total=0" * 300_000,
        "Python 2 " * 1_000_000 + "backport is for only works requires ",
        "".join(literal for f in failures.classes().values() for s in f.signs for literal in [s.literal])
        * 800,
        "\n".join(s.literal for f in failures.classes().values() for s in f.signs) * 1_000,
        "".join(NOISE.choices("\\n '\"`abc:/.[]()<>=0123456789\u2018\u00e9\ufffd", k=1_000_000)),
    ],
    ids=range(15),
)
def test_a_hostile_log_costs_little_time(log):
    began = time.process_time()

    failures.classify(log, "")
    failures.error_block(log)

    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("kind", "name", "release", "package"),
    [
        ("headers", "ffi.h", "bookworm", "libffi-dev"),
        ("headers", "libxml/tree.h", "trixie", "libxml2-dev"),
        ("headers", "glib.h", "bookworm", "libglib2.0-dev"),
        ("headers", "Python.h", "trixie", "python3-dev"),
        ("libraries", "ssl", "bullseye", "libssl-dev"),
        ("pkgconfig", "dbus-1", "bookworm", "libdbus-1-dev"),
        ("tools", "pg_config", "bookworm", "libpq-dev"),
        ("headers", "no/such.h", "bookworm", ""),
        ("nothing", "ffi.h", "bookworm", ""),
    ],
)
def test_a_missing_file_leads_to_its_package(kind, name, release, package):
    assert package_with(kind, name, release) == package


def test_the_table_of_packages_is_small():
    assert (LOGS.parent.parent / "apt_contents.json").stat().st_size < 300_000

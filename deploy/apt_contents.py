"""`make apt-contents`: writes builds/apt_contents.json, which says what to install for a missing file.

From Debian's own lists of which package has which file, as the mirror that apt uses has them, cut to what
sources of Python packages ask for: headers, libraries, pkg-config files and programs, of packages that others
of Debian are built with.  Needs a Debian machine and the network.
"""

import gzip
import json
import lzma
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import requests

TABLE = Path(__file__).resolve().parent.parent / "builds" / "apt_contents.json"
# The releases of our targets.  The first one's names are the rule, of the others what differs is kept.
RELEASES = ("bookworm", "trixie")
ARCHITECTURES = ("armhf", "all")
# With how many of Debian's sources a package must be built before its files are listed ...
POPULAR = 5
# ... and before its headers are listed without the folder that they are in, which its pkg-config file names.
VERY_POPULAR = 20

_MULTIARCH = "(?:arm-linux-gnueabihf/)?"
PATTERNS = {
    "headers": re.compile(rf"usr/include/{_MULTIARCH}(.+\.(?:h|hh|hpp|hxx))"),
    "libraries": re.compile(rf"usr/lib/{_MULTIARCH}lib([A-Za-z0-9_+-][A-Za-z0-9_.+-]*?)\.(?:so|a)"),
    "pkgconfig": re.compile(rf"usr/(?:lib|share)/{_MULTIARCH}pkgconfig/([A-Za-z0-9_.+-]+)\.pc"),
    "tools": re.compile(r"usr/bin/([A-Za-z0-9_.+-]+)"),
}
# Programs of other sections are read or typed by people rather than called by a build.
TOOL_SECTIONS = {
    "devel",
    "libdevel",
    "interpreters",
    "math",
    "science",
    "text",
    "utils",
    "vcs",
    "golang",
    "rust",
}
_DEPENDS = re.compile(r"^Build-Depends(?:-Arch|-Indep)?: (.*)", re.MULTILINE)

# What a package is called by those who need it, where its own name has a version or is one of many.
RENAMED = {
    re.compile(r"libpython3\.\d+-dev"): "python3-dev",
    re.compile(r"libboost([a-z-]*?)-?1\.\d+-dev"): r"libboost\1-dev",
    re.compile(r"libopencv-[a-z0-9-]+-dev"): "libopencv-dev",
    re.compile(r"libmariadb-dev(?:-compat)?"): "default-libmysqlclient-dev",
    re.compile(r"(?:gcc|g\+\+|gfortran)-\d+"): "build-essential",
    re.compile(r"libpcap0\.8-dev"): "libpcap-dev",
    re.compile(r"golang-1\.\d+-go"): "golang-go",
}
# Where several packages have a file of that name, or have it where the patterns do not look.
CHOSEN = {
    "headers": {
        "SDL.h": "libsdl2-dev",
        "SDL/": "libsdl1.2-dev",
        "mpi.h": "libopenmpi-dev",
        "hdf5.h": "libhdf5-dev",
        "X11/": "libx11-dev",
        "GL/": "libgl-dev",
        "cblas.h": "libopenblas-dev",
        "lapacke.h": "liblapacke-dev",
        "curl/": "libcurl4-openssl-dev",
    },
    "libraries": {
        "blas": "libopenblas-dev",
        "openblas": "libopenblas-dev",
        "gfortran": "gfortran",
        "lapack": "liblapack-dev",
        "mpi": "libopenmpi-dev",
        "hdf5": "libhdf5-dev",
        "curl": "libcurl4-openssl-dev",
    },
    "pkgconfig": {
        "blas": "libopenblas-dev",
        "lapack": "liblapack-dev",
        "hdf5": "libhdf5-dev",
        "libcurl": "libcurl4-openssl-dev",
    },
    "tools": {
        "gcc": "build-essential",
        "cc": "build-essential",
        "g++": "build-essential",
        "c++": "build-essential",
        "make": "build-essential",
        "gfortran": "gfortran",
        "go": "golang-go",
        "git": "git",
        "curl": "curl",
        "wget": "wget",
        "npm": "npm",
        "node": "nodejs",
        "hg": "mercurial",
        "svn": "subversion",
        "pkg-config": "pkgconf",
        "mpicc": "libopenmpi-dev",
        "pg_config": "libpq-dev",
        "mysql_config": "default-libmysqlclient-dev",
        "curl-config": "libcurl4-openssl-dev",
        "llvm-config": "llvm-dev",
        "java": "default-jdk",
        "javac": "default-jdk",
    },
}


def mirror() -> str:
    """Return the address of the mirror of Debian that apt is configured with."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Identifier: Packages", "Label: Debian"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    if not answer:
        sys.exit("apt has no mirror of Debian; run this on a Debian machine, after apt-get update.")
    return answer[0].rstrip("/")


def fetch(url: str) -> bytes:
    """Return what is at an address of the mirror."""
    answer = requests.get(url, timeout=300)
    answer.raise_for_status()
    return answer.content


def called(package: str) -> str:
    """Return the name by which a package is asked for."""
    for pattern, name in RENAMED.items():
        if match := pattern.fullmatch(package):
            return match.expand(name)
    return package


def popularity(sources: str) -> Counter[str]:
    """Return how many of Debian's sources are built with each package."""
    counts: Counter[str] = Counter()
    for source in sources.split("\n\n"):
        wanted = {
            called(part.split()[0].partition(":")[0])
            for depends in _DEPENDS.findall(source)
            for part in re.split("[,|]", depends)
            if part.strip()
        }
        counts.update(wanted)
    return counts


def files(listed: Iterable[str], counts: Counter[str]) -> Iterator[tuple[str, str, str]]:
    """Return kind, name and package of each file that a build could ask for."""
    for line in listed:
        path, _, owners = line.rstrip("\n").rpartition(" ")
        for kind, pattern in PATTERNS.items():
            match = pattern.fullmatch(path.rstrip())
            if not match:
                continue
            for owner in owners.split(","):
                section, _, package = owner.rpartition("/")
                is_read = kind == "tools" and section.rpartition("/")[2] not in TOOL_SECTIONS
                if counts[called(package)] >= POPULAR and not is_read:
                    yield kind, match[1], called(package)


@dataclass
class Table:
    """Which package has what, for one release: the best of several is the nearest, then the most popular."""

    counts: Counter[str]
    best: dict[tuple[str, str], tuple[int, int, str]] = field(default_factory=dict)
    folders: dict[tuple[str, int], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def offer(self, kind: str, name: str, package: str, depth: int = 0) -> None:
        """Take a package for a name, unless a better one is known."""
        rank = (depth, -self.counts[package], package)
        self.best[kind, name] = min(rank, self.best.get((kind, name), rank))

    def add(self, kind: str, name: str, package: str) -> None:
        """Take a file; a header in a folder counts for the folder, which is the most that is kept of it."""
        *folders, last = name.split("/")
        if kind != "headers" or not folders:
            self.offer(kind, last, package)
            return
        for depth, folder in enumerate(folders[:2]):
            self.folders[f"{folder}/", depth][package] += 1
        if len(folders) == 1 and self.counts[package] >= VERY_POPULAR:
            self.offer(kind, last, package, depth=1)

    def finish(self) -> dict[tuple[str, str], str]:
        """Return the package of each kind and name."""
        for (folder, depth), owners in self.folders.items():
            self.offer("headers", folder, owners.most_common(1)[0][0], depth)
        chosen = {(kind, name): package for kind, names in CHOSEN.items() for name, package in names.items()}
        return {key: package for key, (_, _, package) in self.best.items()} | chosen


def read(address: str, release: str) -> dict[tuple[str, str], str]:
    """Return the table of a release."""
    main = f"{address}/dists/{release}/main"
    table = Table(popularity(lzma.decompress(fetch(f"{main}/source/Sources.xz")).decode()))
    for architecture in ARCHITECTURES:
        listed = gzip.decompress(fetch(f"{main}/Contents-{architecture}.gz")).decode(errors="replace")
        for kind, name, package in files(listed.splitlines(), table.counts):
            table.add(kind, name, package)
    return table.finish()


def grouped(table: dict[tuple[str, str], str]) -> dict[str, dict[str, str]]:
    """Return a table as the file has it: by kind, for each package its names, separated by spaces."""
    groups: dict[str, dict[str, list[str]]] = {kind: defaultdict(list) for kind in PATTERNS}
    for (kind, name), package in sorted(table.items()):
        groups[kind][package].append(name)
    return {
        kind: {package: " ".join(names) for package, names in sorted(packages.items())}
        for kind, packages in groups.items()
    }


def main() -> None:
    """Write the table."""
    address = mirror()
    rule, *others = (read(address, release) for release in RELEASES)
    content = {RELEASES[0]: grouped(rule)}
    for release, table in zip(RELEASES[1:], others, strict=True):
        differs = {key: package for key, package in table.items() if key in rule and rule[key] != package}
        content[release] = grouped(differs)
    TABLE.write_text(json.dumps(content, indent=0, ensure_ascii=True) + "\n")
    print(f"{TABLE.name}: {TABLE.stat().st_size} bytes, {len(rule)} names")


if __name__ == "__main__":
    main()

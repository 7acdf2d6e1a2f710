"""A large farm of piwheels.org's software, made up of a seed: rows by COPY, and real wheels and logs.

What is spoilt in it is counted, so that a test knows what must be refused.
"""

import csv
import gzip
import hashlib
import io
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests import sdists
from tests.original.farm import OriginalFarm

ABIS = {"cp39": "cp39", "cp311": "cp311", "cp313": "cp313"}
FIRST = datetime(2024, 1, 1)
DAYS = 60
# Of so many files one is missing, too short, or has other bytes.
SPOILT = 2000
# Downloads for each file.
DOWNLOADS = 4

_FAILURES = (
    "src/demo.c:1:10: fatal error: ffi.h: No such file or directory\n",
    "ERROR: Could not find a version that satisfies the requirement numpy==0.0.1\n",
    "error: Microsoft Visual C++ 14.0 is required\n",
)
_COLUMNS = {
    "packages": ("package", "skip", "description"),
    "package_names": ("name", "package", "seen"),
    "versions": ("package", "version", "released", "skip", "yanked"),
    "builds": (*("build_id", "package", "version", "built_by", "built_at", "duration", "status", "abi_tag"),),
    "files": (
        *("filename", "build_id", "filesize", "filehash", "package_tag", "package_version_tag"),
        *("py_version_tag", "abi_tag", "platform_tag", "requires_python"),
    ),
    "dependencies": ("filename", "tool", "dependency"),
    "downloads": (
        *("filename", "accessed_by", "accessed_at", "arch", "distro_name", "distro_version", "os_name"),
        *("py_version", "installer_name", "installer_version"),
    ),
    "searches": ("package", "accessed_by", "accessed_at"),
}


@dataclass
class LargeFarm:
    """Fills a farm until it has so many files."""

    farm: OriginalFarm
    files: int
    seed: int = 1
    rows: dict[str, list[Sequence[object]]] = field(default_factory=dict)
    spoilt: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.names: list[str] = []

    def fill(self) -> None:
        """Make packages until there are enough files, and then their downloads."""
        self.farm.abi(*ABIS)
        number = 0
        while self.counted["files"] < self.files:
            number += 1
            self._package(f"made-{number:06}")
            if number % 500 == 0:
                self._write()
        self._write()
        self._downloads()
        self._write()

    def _package(self, name: str) -> None:
        """Make a package with some versions."""
        skip = "does not end" if self.chance.random() < 0.01 else ""
        self._row("packages", name, skip, f"The package {name}")
        for spelling in (name.title(), name.replace("-", "_")):
            self._row("package_names", spelling, name, FIRST)
        is_pure = self.chance.random() < 0.6
        for minor in range(self.chance.randrange(1, 12)):
            self._version(name, f"1.{minor}", is_pure=is_pure)
        if self.chance.random() < 0.02:
            self._row("versions", name, "1.0.0.alpha (Ninken)", FIRST, "", False)
        if self.chance.random() < 0.05:
            self._row("searches", name, "192.0.2.1", datetime.now() - timedelta(days=3))

    def _version(self, name: str, number: str, *, is_pure: bool) -> None:
        """Make a version with its builds."""
        self._row("versions", name, number, FIRST, "", self.chance.random() < 0.02)
        requires_python = self.chance.choice(["", "", ">=3.7", ">=3.8,!=3.9.1", "<4"])
        if is_pure:
            if self.chance.random() < 0.2:
                self._build(name, number, "cp39", is_good=False)
            build = self._build(name, number, "cp311")
            self._wheel(build, name, number, "py3-none-any", requires_python)
            return
        for abi in ABIS:
            if self.chance.random() < 0.1:
                self._build(name, number, abi, is_good=False)
                continue
            tag = f"{abi}-{abi}-linux_armv7l"
            self._wheel(self._build(name, number, abi), name, number, tag, requires_python)

    def _build(self, name: str, number: str, abi: str, *, is_good: bool = True) -> int:
        """Note a build with its log; return its number."""
        self.counted["builds"] += 1
        build = self.counted["builds"]
        ended = FIRST + timedelta(minutes=build)
        self._row("builds", build, name, number, build % 17, ended, f"{build % 900} s", is_good, abi)
        log = "Building wheels for collected packages\n" * 20
        path = self.farm.log(build)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress((log if is_good else log + self.chance.choice(_FAILURES)).encode(), 1))
        return build

    def _wheel(self, build: int, name: str, number: str, tag: str, requires_python: str) -> None:
        """Make a wheel, and its twin where there is one."""
        content = sdists.make_wheel(
            name, number, tag, requires_python=requires_python, requires=("six>=1.0",), answer=build
        )
        filename = f"{sdists.stem(name, number)}-{tag}.whl"
        path = self.farm.path(name, filename)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        named = [filename]
        if tag.endswith("-linux_armv7l"):
            named.append(filename.replace("linux_armv7l", "linux_armv6l"))
            self.farm.path(name, named[1]).symlink_to(filename)
        digest = hashlib.sha256(content).hexdigest()
        for each in named:
            self.counted["files"] += 1
            parts = each.removesuffix(".whl").split("-")
            self._row("files", each, build, len(content), digest, *parts, requires_python or None)
            self._row("dependencies", each, "pip", "six")
            if len(named) == 2:
                self._row("dependencies", each, "apt", "libffi8")
        if self.chance.randrange(SPOILT // len(named)) == 0:
            self._spoil(filename, name, content, len(named))
        else:
            self.names += named

    def _spoil(self, filename: str, name: str, content: bytes, count: int) -> None:
        """Have a file be other than its row says, and with it its twin."""
        path = self.farm.path(name, filename)
        kind = self.chance.choice(["missing", "size", "bytes"])
        if kind == "missing":
            path.unlink()
        else:
            path.write_bytes(content[:-1] + (b"?" if kind == "bytes" else b""))
        self.spoilt[kind] += count
        if count == 2:
            self.counted["lost needs"] += count

    def _downloads(self) -> None:
        """Have files be downloaded, some more than once a day by the same client."""
        clients = [
            ("armv7l", "Raspbian GNU/Linux", "12", "3.11.2", "23.0.1"),
            ("armv6l", "Raspbian GNU/Linux", "11", "3.9.2", "20.3.4"),
            ("aarch64", "Debian GNU/Linux", "13", "3.13.1", "25.1"),
        ]
        for _ in range(len(self.names) * DOWNLOADS):
            arch, distro, release, python, pip = self.chance.choice(clients)
            address = f"192.0.2.{self.chance.randrange(1, 255)}"
            at = FIRST + timedelta(seconds=self.chance.randrange(DAYS * 86400))
            told = (arch, distro, release, "Linux", python, "pip", pip)
            self._row("downloads", self.chance.choice(self.names), address, at, *told)
            if len(self.rows["downloads"]) == 50_000:
                self._write()

    def _row(self, table: str, *values: object) -> None:
        self.rows.setdefault(table, []).append(values)

    def _write(self) -> None:
        """Write what has gathered, in the order in which one refers to the other."""
        for table, columns in _COLUMNS.items():
            self._copy(table, columns, self.rows.pop(table, []))

    def _copy(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        lines = io.StringIO()
        csv.writer(lines).writerows(rows)
        lines.seek(0)
        told = ", ".join(columns)
        texts = [column for column in columns if column not in ("requires_python", "released", "seen")]
        force = f", FORCE_NOT_NULL ({', '.join(texts)})"
        with self.farm.connection.cursor() as cursor:
            cursor.copy_expert(f"COPY {table} ({told}) FROM STDIN WITH (FORMAT csv{force})", lines)

"""Fills that software's database and folder as it does itself, with real wheels."""

import gzip
import hashlib
import html
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2

from tests import sdists

NOON = datetime(2024, 3, 1, 12)


@dataclass
class OriginalFarm:
    """A farm that can be imported."""

    url: str
    folder: Path
    connection: Any

    def sql(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement, and return what it answers."""
        with self.connection.cursor() as cursor:
            cursor.execute(text, values)
            return cursor.fetchall() if cursor.description else []

    def abi(self, *tags: str) -> None:
        """Have it build for these."""
        for tag in tags:
            self.sql("INSERT INTO build_abis (abi_tag) VALUES (%s) ON CONFLICT DO NOTHING", tag)

    def package(self, name: str, *spellings: str, skip: str = "", summary: str = "") -> None:
        """Have it follow a package; the first spelling is the one that was seen last."""
        self.sql("INSERT INTO packages VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", name, skip, summary)
        for age, spelling in enumerate(spellings):
            seen = NOON.replace(year=2024 - age)
            self.sql("INSERT INTO package_names VALUES (%s, %s, %s)", spelling, name, seen)

    def version(self, package: str, number: str, *, skip: str = "", yanked: bool = False) -> None:
        """Have it know a version."""
        sql = "INSERT INTO versions VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
        self.sql(sql, package, number, NOON, skip, yanked)

    def build(
        self,
        package: str,
        number: str,
        abi: str = "cp311",
        *,
        is_good: bool = True,
        log: str | None = "Building wheels for collected packages\n",
        built_by: int = 3,
        duration_s: float = 12.5,
    ) -> int:
        """Have it note a build, without files yet; return its number."""
        self.abi(abi)
        self.package(package)
        self.version(package, number)
        sql = """
            INSERT INTO builds (package, version, built_by, duration, status, abi_tag, built_at)
            VALUES (%s, %s, %s, %s * interval '1 second', %s, %s,
                    %s + (SELECT count(*) FROM builds) * interval '1 minute')
            RETURNING build_id
        """
        build: int = self.sql(sql, package, number, built_by, duration_s, is_good, abi, NOON)[0][0]
        if log is not None:
            self.log(build).parent.mkdir(parents=True, exist_ok=True)
            self.log(build).write_bytes(gzip.compress(log.encode()))
        return build

    def wheel(
        self,
        package: str = "demo",
        number: str = "1.0",
        tag: str = "cp311-cp311-linux_armv7l",
        *,
        abi: str = "cp311",
        requires: tuple[str, ...] = (),
        requires_python: str = "",
        apt: tuple[str, ...] = (),
        answer: int = 42,
        **fields: Any,
    ) -> str:
        """Have it build a wheel, with a twin for armv6 where it makes one; return the name of its file."""
        build = self.build(package, number, abi, **fields)
        content = sdists.make_wheel(
            package, number, tag, requires=requires, requires_python=requires_python, answer=answer
        )
        filename = f"{sdists.stem(package, number)}-{tag}.whl"
        self.file(build, package, filename, content, requires_python=requires_python, apt=apt)
        if tag.endswith("-linux_armv7l"):
            twin = filename.replace("linux_armv7l", "linux_armv6l")
            self.row(build, twin, content, requires_python=requires_python, apt=apt)
            self.path(package, twin).symlink_to(filename)
        return filename

    def file(self, build: int, package: str, filename: str, content: bytes, **fields: Any) -> None:
        """Put a file into its folder, and its row into the database."""
        self.path(package, filename).parent.mkdir(parents=True, exist_ok=True)
        self.path(package, filename).write_bytes(content)
        self.row(build, filename, content, **fields)

    def row(
        self,
        build: int,
        filename: str,
        content: bytes,
        *,
        requires_python: str = "",
        apt: tuple[str, ...] = (),
        location: str = "/simple",
    ) -> None:
        """Note a file, as it does with whatever was noted of that name before."""
        package, number, *_, python, abi, platform = [*filename.removesuffix(".whl").split("-"), *[""] * 5][
            :5
        ]
        self.sql("DELETE FROM files WHERE filename = %s", filename)
        sql = "INSERT INTO files VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        told = (filename, build, len(content), hashlib.sha256(content).hexdigest(), package, number)
        tags = (tag[:100] for tag in (python, abi, platform))
        self.sql(sql, *told, *tags, requires_python or None, location)
        for name in apt:
            self.sql("INSERT INTO dependencies VALUES (%s, 'apt', %s)", filename, name)

    def keep_deleted_rows(self) -> None:
        """Be 0.26, which removes a file from the disk and keeps its row."""
        self.sql("ALTER TABLE files ADD COLUMN deleted_at timestamp")

    def delete(self, package: str, filename: str) -> None:
        """Delete a file as 0.26 does."""
        sql = "UPDATE files SET deleted_at = now() AT TIME ZONE 'UTC' WHERE filename = %s"
        self.sql(sql, filename)
        self.path(package, filename).unlink()

    def download(self, filename: str, day: str, address: str = "192.0.2.1", **facts: str) -> None:
        """Have it note a download."""
        said = {"installer_name": "pip", "installer_version": "23.0.1", "py_version": "3.11.2",
                "distro_name": "Raspbian GNU/Linux", "distro_version": "12", "os_name": "Linux",
                "arch": "armv7l", **facts}  # fmt: skip
        names = ", ".join(said)
        places = ", ".join(["%s"] * len(said))
        into = f"downloads (filename, accessed_by, accessed_at, {names})"
        sql = f"INSERT INTO {into} VALUES (%s, %s, %s, {places})"
        self.sql(sql, filename, address, f"{day} 12:00", *said.values())

    def path(self, package: str, filename: str) -> Path:
        """Return where a wheel is."""
        return self.folder / "simple" / package / filename

    def log(self, build: int) -> Path:
        """Return where a log is."""
        digits = f"{build:012d}"
        return self.folder / "logs" / digits[:4] / digits[4:8] / f"{digits[8:]}.txt.gz"

    def write_pages(self) -> None:
        """Write the page of each package as its scribe does."""
        for (package,) in self.sql("SELECT package FROM packages"):
            sql = """
                SELECT filename, location, filehash, yanked, coalesce(requires_python, '')
                FROM files JOIN builds USING (build_id) JOIN versions USING (package, version)
                WHERE package = %s ORDER BY filename
            """
            links = "".join(_link(package, *row) for row in self.sql(sql, package))
            title = f"Links for {html.escape(package)}"
            head = f"<!DOCTYPE html><html><head><title>{title}</title></head>"
            page = f"{head}<body><h1>{title}</h1>{links}</body></html>"
            index = self.path(package, "index.html")
            index.parent.mkdir(parents=True, exist_ok=True)
            index.write_text(page)


def _link(package: str, filename: str, location: str, sha256: str, yanked: bool, requires: str) -> str:
    told = ' data-yanked=""' * yanked
    told += f' data-requires-python="{html.escape(requires)}"' if requires else ""
    return f'<a href="{location}/{package}/{filename}#sha256={sha256}"{told}>{filename}</a><br>\n'


@contextmanager
def made(url: str, folder: Path) -> Iterator[OriginalFarm]:
    """Give an empty farm in that database and folder."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    for name in ("simple", "logs"):
        (folder / name).mkdir(parents=True)
    try:
        yield OriginalFarm(url, folder, connection)
    finally:
        connection.close()

"""A PyPI of a test's own: a real HTTP server over a state that the test changes, with faults to switch on.

What people do to it is here, each with its line in the journal; what it serves is in `fake_pypi_server`, and
what can go wrong in `fake_pypi_faults`.

    with FakePyPI() as upstream:
        upstream.add_sdist("demo", "1.0")
        PyPI(upstream.simple_url).project("demo")
"""

import threading
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

from packaging.utils import canonicalize_name

from tests.fake_pypi_faults import Request
from tests.fake_pypi_journal import Entry, Journal
from tests.fake_pypi_pages import FakeFile, FakeProject
from tests.fake_pypi_server import JSON_API, SIMPLE, Upstream
from tests.sdists import make_wheel, pure_sdist, stem

UPLOADED_AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


class FakePyPI(Upstream):
    """The server and its state."""

    def __init__(self, **options: Any) -> None:  # Any: what the server takes
        super().__init__(**options)
        self.journal = Journal(UPLOADED_AT)
        self.projects: MutableMapping[str, FakeProject] = {}
        self.requests: list[Request] = []
        self._stale: dict[tuple[str, str], FakeProject | None] = {}
        # The serials after which somebody wanted to read the journal.
        self.read_from: list[int] = []
        self._stale_root: tuple[int, list[tuple[str, int]]] | None = None
        # The state is read by the server's threads and changed by the test's.
        self._state = threading.RLock()

    @property
    def serial(self) -> int:
        """The serial of what happened last."""
        return self.journal.serial

    # What the upstream's people do.

    def add_project(self, name: str) -> FakeProject:
        """Register a project without versions, or return the one that has the name."""
        with self._state:
            key = canonicalize_name(name)
            if key not in self.projects:
                self.projects[key] = FakeProject(name)
                self._write(key, None, "create")
                self.add_role(name, "alice")
            return self.projects[key]

    def add_role(self, name: str, user: str) -> None:
        """Give somebody a role; nothing that we read changes but the serial."""
        self._write(name, None, f"add Owner {user}")

    def add_version(self, name: str, version: str) -> None:
        """Release a version without files."""
        with self._state:
            project = self.add_project(name)
            if version not in project.versions:
                project.versions[version] = []
                self._write(name, version, "new release")

    def add_sdist(
        self,
        name: str,
        version: str,
        content: bytes | None = None,
        *,
        filename: str | None = None,
        uploaded_at: datetime = UPLOADED_AT,
        requires_python: str | None = None,
    ) -> FakeFile:
        """Upload an sdist; without content it is one that builds a pure wheel."""
        return self._add(
            name,
            version,
            FakeFile(
                filename or f"{stem(name, version)}.tar.gz",
                "sdist",
                pure_sdist(name, version) if content is None else content,
                uploaded_at,
                requires_python,
            ),
        )

    def add_wheel(
        self,
        name: str,
        version: str,
        content: bytes | None = None,
        *,
        tag: str = "py3-none-any",
        filename: str | None = None,
        uploaded_at: datetime = UPLOADED_AT,
        requires_python: str | None = None,
    ) -> FakeFile:
        """Upload a wheel; without content it is a valid one with that tag."""
        return self._add(
            name,
            version,
            FakeFile(
                filename or f"{stem(name, version)}-{tag}.whl",
                "bdist_wheel",
                make_wheel(name, version, tag) if content is None else content,
                uploaded_at,
                requires_python,
            ),
            tag.partition("-")[0],
        )

    def add_file(self, name: str, version: str, filename: str, packagetype: str) -> FakeFile:
        """Upload a file of another kind, as ("demo-1.0.win32.exe", "bdist_wininst")."""
        return self._add(name, version, FakeFile(filename, packagetype, b"MZ", UPLOADED_AT), "any")

    def yank(self, name: str, version: str, reason: str = "", filename: str | None = None) -> None:
        """Yank all files of a version, or one of them."""
        self._yank(name, version, reason, "yank release", filename)

    def unyank(self, name: str, version: str) -> None:
        """Take the yank of a version back."""
        self._yank(name, version, None, "unyank release")

    def remove(self, name: str, version: str | None = None, filename: str | None = None) -> None:
        """Remove a project, one of its versions, or one file of that version."""
        with self._state:
            key = canonicalize_name(name)
            if version is None:
                self._write(name, None, "remove project")
                del self.projects[key]
                return
            versions = self.projects[key].versions
            if filename is None:
                del versions[version]
                self.projects[key].hidden.discard(version)
                self._write(name, version, "remove release")
            else:
                versions[version] = [file for file in versions[version] if file.filename != filename]
                self._write(name, version, f"remove file {filename}")

    def spell(self, name: str, spelling: str) -> None:
        """Spell a project's name otherwise."""
        with self._state:
            project = self.projects[canonicalize_name(name)]
            old, project.name = project.name, spelling
            self._write(name, None, f"rename from {old}")

    def summarise(self, name: str, summary: str | None) -> None:
        """Give a project another summary."""
        with self._state:
            self.projects[canonicalize_name(name)].summary = summary
            self._write(name, None, "update summary")

    def quarantine(self, name: str, reason: str | None = None) -> None:
        """Hide a project's files until somebody has looked at it."""
        self.set_status(name, "quarantined", reason)

    def set_status(self, name: str, status: str | None, reason: str | None = None) -> None:
        """Give a project a status (PEP 792); None is an active one.

        The real one writes of no status into its journal but of a quarantine.
        """
        with self._state:
            project = self.projects[canonicalize_name(name)]
            old, project.status, project.status_reason = project.status, status, reason
            if status == "quarantined" != old:
                self._write(name, None, "project quarantined")
            elif old == "quarantined" != status:
                self._write(name, None, "project quarantine cleared")

    def hide(self, name: str, version: str) -> None:
        """Hide the files of one version until somebody has looked at it."""
        with self._state:
            self.projects[canonicalize_name(name)].hidden.add(version)
            self._write(name, version, "release quarantined")

    def show(self, name: str, version: str) -> None:
        """Show the files of a hidden version again."""
        with self._state:
            self.projects[canonicalize_name(name)].hidden.discard(version)
            self._write(name, version, "release quarantine cleared")

    def write(self, name: str | None, action: str = "new release", version: str | None = None) -> int:
        """Write anything into the journal, also of a project that there is not, or of none."""
        with self._state:
            return self._write(name, version, action)

    # What goes wrong with caches; the other faults are in `Faults`.

    def go_stale(self, name: str, *apis: str) -> None:
        """Serve a project as it is now, whatever happens to it, as a cache would; of both APIs or of one."""
        with self._state:
            name = canonicalize_name(name)
            for api in apis or (SIMPLE, JSON_API):
                project = self.projects.get(name)
                self._stale[api, name] = project and project.copy()

    def refresh(self, name: str) -> None:
        """Serve a project as it is again."""
        with self._state:
            for api in (SIMPLE, JSON_API):
                self._stale.pop((api, canonicalize_name(name)), None)

    def freeze_root(self) -> None:
        """Serve the root page as it is now, whatever happens."""
        with self._state:
            self._stale_root = self._root()

    def thaw_root(self) -> None:
        """Serve the root page as it is again."""
        with self._state:
            self._stale_root = None

    def catch_up(self) -> None:
        """Serve everything as it is again."""
        with self._state:
            self._stale.clear()
            self._stale_root = None

    def paths(self) -> list[str]:
        """Return the paths that were asked for, in their order."""
        return [request.path for request in self.requests]

    # What the server's threads ask for.

    def note(self, request: Request) -> None:
        """Log a request."""
        with self._state:
            self.requests.append(request)

    def last_serial(self) -> int:
        """Return the serial of the journal's last entry."""
        return self.serial

    def since(self, serial: int, limit: int) -> list[Entry]:
        """Return the first entries of the journal after a serial."""
        with self._state:
            self.read_from.append(serial)
            return self.journal.since(serial, limit)

    def listed(self) -> tuple[int, list[tuple[str, int]]]:
        """Return the root page's serial, and the names that it shows with theirs."""
        with self._state:
            return self._stale_root or self._root()

    def shown(self, name: str, api: str) -> FakeProject | None:
        """Return a copy of what one of the APIs shows of the project with a canonical name."""
        with self._state:
            key = (api, name)
            project = self._stale[key] if key in self._stale else self.projects.get(name)
            return project and project.copy()

    def _root(self) -> tuple[int, list[tuple[str, int]]]:
        return self.serial, [
            (project.name, project.serial)
            for _, project in sorted(self.projects.items())
            if project.status != "quarantined"
        ]

    def _add(self, name: str, version: str, file: FakeFile, python: str = "source") -> FakeFile:
        with self._state:
            self.add_version(name, version)
            self.projects[canonicalize_name(name)].versions[version].append(file)
            self._write(name, version, f"add {python} file {file.filename}")
            return file

    def _yank(
        self, name: str, version: str, reason: str | None, action: str, filename: str | None = None
    ) -> None:
        with self._state:
            for file in self.projects[canonicalize_name(name)].versions[version]:
                file.yanked = reason if filename in (None, file.filename) else file.yanked
            self._write(name, version, action)

    def _write(self, name: str | None, version: str | None, action: str) -> int:
        project = self.projects.get(canonicalize_name(name or ""))
        serial = self.journal.write(project.name if project else name, version, action)
        if project:
            project.serial = serial
        return serial

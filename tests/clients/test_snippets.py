"""The lines on the pages do what they promise: each is taken from its page and run by the client itself.

The farm is a private one: a name in the house, no TLS, and PyPI is as far as ever.  To run these alone:
`.venv/bin/python -m tests.run tests/clients/test_snippets.py -m clients`.
"""

import shutil
from functools import cache
from pathlib import Path

import pytest

from tests.clients import installers, projects
from tests.clients.installers import CLIENTS, TRIXIE
from tests.clients.place import Place, find_python
from tests.clients.shown import Shown, address, shown
from tests.clients.world import FARM, chosen

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
    pytest.mark.skipif(find_python(TRIXIE) is None, reason=f"there is no Python {TRIXIE} on this machine"),
]

# The pages write it in capitals, where one is to write another.
NAME = "package"
FAQ, HOME, PROJECT = "/faq.html", "/", f"/project/{NAME}/"
SAID = {
    *[(page, client, "") for page in (FAQ, PROJECT) for client in ("pip", "uv", "pipx")],
    *[(HOME, client, "") for client in ("pip", "uv")],
    *[(page, "pip", "/etc/pip.conf") for page in (FAQ, HOME)],
    *[(page, "uv", "~/.config/uv/uv.toml") for page in (FAQ, HOME)],
    (FAQ, "poetry", "pyproject.toml"),
    (FAQ, "pdm", "pyproject.toml"),
    (FAQ, "pipx", "~/.profile"),
}
# What one types once the lines are in their file.
TYPED = {
    "pip": f"pip install {NAME}",
    "uv": f"uv pip install {NAME}",
    "poetry": f"poetry add {NAME}",
    "pdm": f"pdm add {NAME}",
    "pipx": f"pipx install {NAME}",
}
# What a project is before, with upstream where PyPI is for everybody else, if that is asked.
PROJECTS = {
    "poetry": "[tool.poetry]\npackage-mode = false\n",
    "pdm": '[tool.pdm]\ndistribution = false\n[[tool.pdm.source]]\nname = "pypi"\nurl = "{main}"\n',
}
# All that the clients read of a machine's /etc; the file that a page names is put beside it.
ETC = ("alternatives", "group", "ld.so.cache", "localtime", "nsswitch.conf", "passwd", "ssl")


@pytest.fixture(scope="module")
def wheels(world):
    """Have wheels of a package that upstream has the source of, and pipx what it wants of an index."""
    pip = installers.PIPS[-1].wheel()
    world.upstream.add_wheel("pip", pip.name.split("-")[1], pip.read_bytes())
    world.upstream_sdist(NAME, "1.0")
    found = world.wheels(NAME, minor=TRIXIE, command=NAME)
    world.follow(NAME)
    world.publish()
    return found


@pytest.fixture
def machine(world, empty, tmp_path):
    """Return a Pi in the house of the farm, with no client yet."""
    place = Place(tmp_path / "project", "")
    place.make(empty(TRIXIE))
    for folder in ("etc", "clients", "home"):
        (place.folder / folder).mkdir()
    place.write("etc/hosts", f"127.0.0.1 localhost {FARM}\n")
    return Machine(place, world.upstream.simple_url)


class Machine:
    """A scratch home and /etc, where a shell runs what somebody copied."""

    def __init__(self, place: Place, upstream: str) -> None:
        self.place = place
        self._upstream = upstream

    def have(self, client: str) -> None:
        """Have a client on the PATH: the pip that Python brings, or another's newest."""
        if client == "pip":
            self.place.run(self.place.python, "-m", "ensurepip", "--default-pip")
        else:
            _fetched(client)
            (self.place.folder / "clients" / client).symlink_to(CLIENTS / client / "bin" / client)

    def write(self, said: Shown) -> None:
        """Write lines into the file that the page names, behind what is there."""
        path = self._path(said.where)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(f"{said.text}\n")

    def type(self, command: str) -> str:
        """Have a login shell run it."""
        folder = self.place.folder
        settings = {
            "PATH": f"{folder}/.venv/bin:{folder}/clients:/usr/bin:/bin",
            "PIP_INDEX_URL": self._upstream,
            "PDM_CHECK_UPDATE": "0",
            "POETRY_KEYRING_ENABLED": "false",
        }
        return self.place.run("bwrap", *self._own_etc(), "sh", "-l", "-c", command, **settings)

    def _path(self, where: str) -> Path:
        home = self.place.folder / "home"
        return self.place.folder / where.lstrip("/") if not where.startswith("~/") else home / where[2:]

    def _own_etc(self) -> list[str]:
        kept = [words for name in ETC for words in ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")]
        own = [
            words
            for path in (self.place.folder / "etc").iterdir()
            for words in ("--ro-bind", str(path), f"/etc/{path.name}")
        ]
        return ["--dev-bind", "/", "/", "--tmpfs", "/etc", *kept, *own]


@cache
def _fetched(client: str) -> None:
    """Have a client installed once a run."""
    known = {each.name: each for each in projects.ALL}
    if client in known:
        installers.fetched(known[client])
    else:
        installers.environment(client)


def test_these_are_all_that_the_pages_say(world, wheels):
    found = {
        (each.page, each.client, each.where) for page in (FAQ, HOME, PROJECT) for each in shown(world, page)
    }

    assert found == SAID


@pytest.mark.parametrize("page", [FAQ, HOME, PROJECT])
def test_the_pages_have_the_address_that_they_were_asked_at(world, wheels, page):
    said = shown(world, page)

    assert said
    assert all(address(world) in each.text for each in said)


def _id(said):
    page, client, where = said
    return f"{page.strip('/') or 'home'}-{client}{where and '-'}{Path(where).name}"


@pytest.mark.parametrize("said", sorted(SAID), ids=_id)
def test_what_a_page_says_installs_our_wheel(world, wheels, machine, said):
    page, client, where = said
    [found] = [each for each in shown(world, page) if (each.client, each.where) == (client, where)]
    machine.have(client)

    if where:
        if client in PROJECTS:
            described = projects.project([]) + PROJECTS[client].format(main=world.upstream.simple_url)
            machine.place.write("pyproject.toml", described)
        machine.write(found)
    machine.type(TYPED[client] if where else found.text)

    answer = chosen(wheels, TRIXIE, "")[1]
    assert _installed(machine, client) == answer


@pytest.mark.parametrize("where", ["", "~/.profile"])
def test_pipx_does_so_too_where_it_finds_uv(world, wheels, machine, where):
    [found] = [each for each in shown(world, FAQ) if (each.client, each.where) == ("pipx", where)]
    machine.have("pipx")
    machine.have("uv")

    if where:
        machine.write(found)
    machine.type(TYPED["pipx"] if where else found.text)

    assert _installed(machine, "pipx") == chosen(wheels, TRIXIE, "")[1]


def _installed(machine, client):
    """Return what the installed package answers."""
    if client == "pipx":
        return int(machine.type(f"~/.local/bin/{NAME}"))
    return machine.place.answer(NAME)

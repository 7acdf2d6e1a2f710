"""How each client is told of this index: what to write where, once for all pages.

Tests take these lines as they are and run the clients with them.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings

from simple.indexes import ALL, FULL, PLATFORM


@dataclass(frozen=True)
class Snippet:
    """What to write for one client, and where."""

    client: str
    where: str  # a file, or "" for a command
    text: str
    why: str = ""


def command(site: str, package: str, version: str = "") -> str:
    """Return the line with which pip installs a package from here."""
    wanted = f"{package}=={version}" if version else package
    return f"pip install --extra-index-url {site}{ALL}/ {wanted}"


def uv_command(site: str, package: str) -> str:
    """Return the line with which uv does: it looks no further than the first index that has a package."""
    if settings.PIWHEELS_FULL_INDEX:
        return f"uv pip install --default-index {site}{FULL}/ {package}"
    return f"uv pip install --index {site}{PLATFORM}/ {package}"


def once(site: str, package: str = "PACKAGE") -> list[Snippet]:
    """Return the command of each client that installs one package, with nothing written anywhere."""
    return [
        Snippet("pip", "", command(site, package)),
        Snippet("uv", "", uv_command(site, package)),
        Snippet("pipx", "", f"PIP_EXTRA_INDEX_URL={site}{ALL}/ pipx install {package}"),
    ]


def for_good(site: str) -> list[Snippet]:
    """Return what to write into the configuration of each client; `site` ends in a slash."""
    return [
        Snippet("pip", "/etc/pip.conf", _pip(site)),
        _uv(site),
        Snippet(
            "poetry",
            "pyproject.toml",
            _toml("[[tool.poetry.source]]", site + PLATFORM, 'priority = "supplemental"'),
            "Without the pure wheels that PyPI has too, so that lock files hold anywhere.",
        ),
        Snippet("pdm", "pyproject.toml", _toml("[[tool.pdm.source]]", site + PLATFORM)),
        Snippet("pipx", "~/.profile", f"export PIP_EXTRA_INDEX_URL={site}{ALL}/"),
    ]


def _uv(site: str) -> Snippet:
    """Return uv's lines."""
    where = "~/.config/uv/uv.toml"
    if settings.PIWHEELS_FULL_INDEX:
        why = "uv takes a package from the first index that has it; this one has PyPI's files too."
        return Snippet("uv", where, _toml("[[index]]", site + FULL, "default = true"), why)
    why = "uv takes a package from the first index that has it: of what is here, nothing from PyPI."
    return Snippet("uv", where, _toml("[[index]]", site + PLATFORM), why)


def _toml(table: str, index: str, *more: str) -> str:
    return "\n".join([table, 'name = "piwheels"', f'url = "{index}/"', *more])


def _pip(site: str) -> str:
    """Return pip's lines; without TLS it wants to be told that this is meant."""
    lines = ["[global]", f"extra-index-url = {site}{ALL}/"]
    address = urlsplit(site)
    return "\n".join([*lines, *([f"trusted-host = {address.hostname}"] if address.scheme == "http" else [])])

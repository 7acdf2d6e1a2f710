"""How each client is told of this index: what to write where, once for all pages.

Tests take these lines as they are and run the clients with them.
"""

from dataclasses import dataclass

from django.conf import settings

from piwheels_site import pip_line
from simple.indexes import ALL, FULL, PLATFORM

# Since release 12 Debian's Python is apt's: it lets pip only into an environment of one's own (PEP 668).
ENVIRONMENT = "python3 -m venv ~/env && . ~/env/bin/activate"


@dataclass(frozen=True)
class Snippet:
    """What to write for one client, and where."""

    client: str
    where: str  # a file, or "" for a command
    text: str
    why: str = ""


def command(site: str, package: str, version: str = "", index: str = ALL) -> str:
    """Return the line with which pip installs a package from here."""
    return pip_line.install(f"{site}{index}/", pip_line.wanted(package, version))


def uv_command(site: str, package: str, version: str = "", index: str = ALL) -> str:
    """Return the line with which uv does: it looks no further than the first index that has a package."""
    wanted = pip_line.wanted(package, version)
    if index != ALL:
        return f"uv pip install --index {site}{index}/ {wanted}"
    if settings.PIWHEELS_FULL_INDEX:
        return f"uv pip install --default-index {site}{FULL}/ {wanted}"
    return f"uv pip install --index {site}{PLATFORM}/ {wanted}"


def once(site: str, package: str = "PACKAGE", version: str = "", index: str = ALL) -> list[Snippet]:
    """Return the command of each client that installs one package, with nothing written anywhere."""
    pipx = [*_pipx(site, index), "pipx install", pip_line.wanted(package, version)]
    return [
        Snippet("pip", "", command(site, package, version, index)),
        Snippet("uv", "", uv_command(site, package, version, index)),
        Snippet("pipx", "", " ".join(pipx)),
    ]


def for_good(site: str) -> list[Snippet]:
    """Return what to write into the configuration of each client; `site` ends in a slash."""
    return [
        Snippet("pip", "/etc/pip.conf", _pip(site)),
        _uv(site),
        _poetry(site),
        Snippet("pdm", "pyproject.toml", _toml("[[tool.pdm.source]]", site + PLATFORM, *_unverified(site))),
        Snippet("pipx", "~/.profile", "\n".join(f"export {setting}" for setting in _pipx(site))),
    ]


def _poetry(site: str) -> Snippet:
    """Return poetry's lines: it asks a supplemental source only for what PyPI has nothing at all of."""
    where, table, primary = "pyproject.toml", "[[tool.poetry.source]]", 'priority = "primary"'
    if settings.PIWHEELS_FULL_INDEX:
        why = "This index has PyPI's files too, so that lock files hold anywhere."
        return Snippet("poetry", where, _toml(table, site + FULL, primary), why)
    pypi = "\n".join([table, 'name = "PyPI"', primary])
    why = "Of a version that both have, poetry takes the file from here, as this source is named first."
    return Snippet("poetry", where, f"{_toml(table, site + PLATFORM, primary)}\n\n{pypi}", why)


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
    host = pip_line.untrusted(site)
    lines = ["[global]", f"extra-index-url = {site}{ALL}/", *([f"trusted-host = {host}"] if host else [])]
    return "\n".join(lines)


def _pipx(site: str, index: str = ALL) -> list[str]:
    """Return pipx's settings: where it finds uv, it would have uv install, which reads none of pip's."""
    host = pip_line.untrusted(site)
    trust = [f"PIP_TRUSTED_HOST={host}"] if host else []
    return ["PIPX_DEFAULT_BACKEND=pip", f"PIP_EXTRA_INDEX_URL={site}{index}/", *trust]


def _unverified(site: str) -> list[str]:
    """Return what pdm wants to be told of an index without TLS."""
    return ["verify_ssl = false"] if pip_line.untrusted(site) else []

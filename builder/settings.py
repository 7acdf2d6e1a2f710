"""What an operator tells a builder, read from the environment once; each name is explained here."""

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from builder.contract import SANDBOX_LEVELS

# The name becomes a queue's and a folder's; the server has the same rule.
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class BadSettings(Exception):
    """A setting is missing or makes no sense; the text names it and says what to write."""


@dataclass(frozen=True)
class Settings:
    """How this builder reaches its server, and where and with what it builds."""

    # PIWHEELS_SERVER: the server's address, as https://wheels.example.org/; ends in a slash here.
    server: str
    # PIWHEELS_BUILDER: the name that the server knows this builder by.
    builder: str
    # PIWHEELS_BUILDER_TOKEN, or PIWHEELS_BUILDER_TOKEN_FILE with the path of a file that holds it.
    token: str = field(repr=False)
    # PIWHEELS_ORDERS_URL: the Redis that orders come from, as rediss://b-pi-07:password@hub:6380/0 or
    # redis+socket:///run/redis.sock; certificates are named by ?ssl_ca_certs=...&ssl_certfile=...
    orders_url: str = field(repr=False)
    # PIWHEELS_WORK: the folder in which builds happen, on a disk with room for the largest.
    work: Path
    # PIWHEELS_BUILD_INDEX: the simple index that build dependencies come from; empty is the one that the
    # server names.
    # A build sees the package proxy in its place, so a password in it goes to that index alone.
    build_index: str = ""
    # PIWHEELS_EXTRA_BUILD_INDEX: another one beside it, such as the farm's own; empty is the one that
    # the server names, if it does.
    extra_build_index: str = ""
    # PIWHEELS_BUILD_CRATES: the sparse index of a registry of Rust's crates, instead of the one that the
    # server names.
    build_crates: str = ""
    # PIWHEELS_BUILD_DISK_BYTES: the most that a build may write, where the disk has as much to spare.
    build_disk_bytes: int = 16 << 30
    # PIWHEELS_SANDBOX_AT_MOST: the highest level of the sandbox to try, "bare", "box" or "full": for whoever
    # develops the builder or looks for what breaks a build.  Which level is enough, the server says.
    sandbox_at_most: str = SANDBOX_LEVELS[-1]
    # LOG_FORMAT: "line" for people, "json" for programs.
    log_format: str = "line"


def read(environment: Mapping[str, str]) -> Settings:
    """Return the settings in an environment; raises BadSettings."""
    return Settings(
        server=_server(_needed(environment, "PIWHEELS_SERVER", "the address of the server")),
        builder=_name(_needed(environment, "PIWHEELS_BUILDER", "this builder's name on the server")),
        token=_token(environment),
        orders_url=_needed(environment, "PIWHEELS_ORDERS_URL", "the Redis that orders come from"),
        work=Path(environment.get("PIWHEELS_WORK") or Path(tempfile.gettempdir(), "piwheels-builder")),
        build_index=environment.get("PIWHEELS_BUILD_INDEX", ""),
        extra_build_index=environment.get("PIWHEELS_EXTRA_BUILD_INDEX", ""),
        build_crates=environment.get("PIWHEELS_BUILD_CRATES", ""),
        build_disk_bytes=_bytes(
            environment.get("PIWHEELS_BUILD_DISK_BYTES") or str(Settings.build_disk_bytes)
        ),
        sandbox_at_most=_level(environment.get("PIWHEELS_SANDBOX_AT_MOST") or Settings.sandbox_at_most),
        log_format=_format(environment.get("LOG_FORMAT") or Settings.log_format),
    )


@cache
def current() -> Settings:
    """Return the settings of this process."""
    return read(os.environ)


def _needed(environment: Mapping[str, str], name: str, meaning: str) -> str:
    """Return a variable that must be there."""
    value = environment.get(name, "").strip()
    if not value:
        raise BadSettings(f"{name} is not set: it must be {meaning}.")
    return value


def _server(address: str) -> str:
    """Return an address that paths can be appended to."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise BadSettings("PIWHEELS_SERVER must begin with https:// (or http://) and name a host.")
    return address.rstrip("/") + "/"


def _name(name: str) -> str:
    """Return a name if it is one that the server gives."""
    if not _NAME.fullmatch(name):
        raise BadSettings("PIWHEELS_BUILDER must be lower-case letters, digits and dashes, 40 at most.")
    return name


def _bytes(number: str) -> int:
    """Return a number of bytes."""
    if not number.isascii() or not number.isdecimal() or len(number) > 18:
        raise BadSettings("PIWHEELS_BUILD_DISK_BYTES must be a number of bytes, in digits alone.")
    return int(number)


def _level(name: str) -> str:
    """Return a level of the sandbox if there is one of that name."""
    if name not in SANDBOX_LEVELS:
        raise BadSettings(f"PIWHEELS_SANDBOX_AT_MOST must be one of {', '.join(SANDBOX_LEVELS)}.")
    return name


def _format(name: str) -> str:
    """Return how lines of the log are written, if there is such a way."""
    if name not in ("line", "json"):
        raise BadSettings('LOG_FORMAT must be "line" or "json".')
    return name


def _token(environment: Mapping[str, str]) -> str:
    """Return the token, from its variable or its file."""
    path = environment.get("PIWHEELS_BUILDER_TOKEN_FILE", "")
    if not path or environment.get("PIWHEELS_BUILDER_TOKEN"):
        meaning = "the token that the server gave this builder (or name a file with it in ..._TOKEN_FILE)"
        return _needed(environment, "PIWHEELS_BUILDER_TOKEN", meaning)
    try:
        token = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"PIWHEELS_BUILDER_TOKEN_FILE cannot be read: {error}.") from error
    if not token:
        raise BadSettings(f"PIWHEELS_BUILDER_TOKEN_FILE names {path}, which is empty.")
    return token

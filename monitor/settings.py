"""What the command line and the environment say: which farm, how often, and the token."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

_DESCRIPTION = """\
A terminal screen of a piwheels farm: its builders, queues and server, what needs a look, and keys to pause,
halt, resume, skip and stop builders. It asks the farm's API over HTTPS, from any machine. Without a token it
shows what everybody may see."""
_EPILOG = """\
token:
  Made in the admin (Operator tokens) or with `manage.py create_operator_token USER`. A file that only you can
  read has it, or the environment; it is never an argument, which others would see.

keys:
  j k, arrows  choose        Enter  what may be done     h  help      q  end
  s skip   p pause   x halt   r resume   t stop   K kill: each asks first

environment:
  PIWHEELS_FARM        the address, if none is given
  PIWHEELS_TOKEN       the token
  PIWHEELS_TOKEN_FILE  the file that has it
  NO_COLOR             no colours; signs and words say the same

examples:
  piwheels-monitor https://farm.example/ --token-file ~/.config/piwheels-token
  PIWHEELS_TOKEN="$(pass farm)" piwheels-monitor https://farm.example/ --every 10

exit status:
  0  ended with q
  1  the screen broke; the message says of what
  2  wrong arguments, or a token that cannot be read or would be sent in the open
"""


class BadSettings(Exception):
    """A setting is missing or wrong; the text says which, and what would be right."""


@dataclass(frozen=True)
class Settings:
    """What to watch, and how."""

    address: str
    every_s: float
    token: str = field(repr=False)


def read(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings; raises BadSettings, or ends the program as argparse does."""
    parser = argparse.ArgumentParser(
        prog="piwheels-monitor",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("address", nargs="?", default="", help="the farm's, as https://farm.example/")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="a file that has your token")
    parser.add_argument("--every", type=float, default=5.0, metavar="SECONDS", help="how often to ask (5)")
    told = parser.parse_args(arguments)
    if not 1 <= told.every <= 3600:
        raise BadSettings("--every is from 1 to 3600 seconds.")
    address = _address(told.address or environ.get("PIWHEELS_FARM", ""))
    token = _token(told.token_file, environ)
    if token and not _is_safe(address):
        raise BadSettings(
            f"{address} would carry your token in the open: give an address that begins https://"
        )
    return Settings(address=address, every_s=told.every, token=token)


def _address(text: str) -> str:
    """Return the address of a farm's root."""
    try:
        parts = urlsplit(text)
        is_right = parts.scheme in ("http", "https") and parts.hostname and not parts.username
        parts.port  # noqa: B018  # raises what is wrong with it
    except ValueError as error:
        raise BadSettings(f"{text!r} is no address: {error}.") from error
    if not is_right or parts.query or parts.fragment:
        raise BadSettings("Give the address of the farm, as https://farm.example/")
    return text.rstrip("/")


def _token(path: Path | None, environ: Mapping[str, str]) -> str:
    """Return the token, "" for none; an argument goes before the environment."""
    named = path or (Path(environ["PIWHEELS_TOKEN_FILE"]) if environ.get("PIWHEELS_TOKEN_FILE") else None)
    if named is None or (path is None and environ.get("PIWHEELS_TOKEN")):
        token = environ.get("PIWHEELS_TOKEN", "")
    else:
        try:
            token = named.expanduser().read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise BadSettings(f"{named} cannot be read: {error}.") from error
        if not token.strip():
            raise BadSettings(f"{named} is empty: it is to have the token.")
    token = token.strip()
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise BadSettings("This is no token: it has letters, digits, - and _ alone.")
    return token


def _is_safe(address: str) -> bool:
    """Tell whether nobody on the way can read what is sent."""
    parts = urlsplit(address)
    if parts.scheme == "https":
        return True
    host = parts.hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""The line with which pip installs from here, as pages show it (no Django)."""

import shlex
from ipaddress import ip_address
from urllib.parse import urlsplit


def install(index: str, wanted: str) -> str:
    """Return the command that installs a requirement, with an index beside PyPI."""
    host = untrusted(index)
    trust = f" --trusted-host {host}" if host else ""
    return f"pip install --extra-index-url {index}{trust} {wanted}"


def wanted(package: str, version: str) -> str:
    """Return a package, or one version of it, as a shell hands it to an installer."""
    return shlex.quote(f"{package}=={version}" if version else package)


def untrusted(address: str) -> str:
    """Return the host that pip has to be told to trust, as its address has no TLS; "" if there is none.

    pip trusts its own machine without being told.
    """
    parts = urlsplit(address)
    host = parts.hostname or ""
    return "" if parts.scheme != "http" or _is_own(host) else host


def _is_own(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

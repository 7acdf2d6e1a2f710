"""What a client says of itself in its User-Agent, in the few words that are counted (no Django).

Anybody may write anything there.  So nothing of an agent is kept as it came: each fact is one of a short
list, or a number of a few digits, or empty.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from linehaul.ua import UserAgent, parser

from builder.contract import AGENT

# pip's agents have some 400 characters; what is much longer is no installer's.
MAX_LENGTH = 2000
# A farm sees a few thousand different ones a day.
_CACHED = 10_000

INSTALLERS = frozenset({"pip", "uv", "poetry", "pdm"})
OTHER, UNKNOWN, BROWSER = "other", "unknown", "browser"

# By what a distribution's name begins with, as the client's /etc/os-release has it.
_SYSTEMS = (
    *("raspbian", "debian", "ubuntu", "fedora", "alpine", "arch", "manjaro", "opensuse", "centos", "rocky"),
    *("almalinux", "amazon", "kali", "nixos", "gentoo", "dietpi", "armbian", "openwrt", "void", "macos"),
    *("windows", "freebsd", "openbsd", "netbsd", "android"),
)
_ALSO_KNOWN_AS = {
    "darwin": "macos",
    "os x": "macos",
    "red hat": "rhel",
    "linux mint": "linuxmint",
    "pop": "pop",
}
# Where a release is two numbers; elsewhere the second tells of an update only.
_TWO_NUMBERS = frozenset({"ubuntu", "alpine", "opensuse", "linuxmint", "pop", "openwrt"})
_ARCHITECTURES = frozenset(
    {"armv6l", "armv7l", "armv8l", "aarch64", "x86_64", "i686", "i386", "riscv64", "ppc64le", "s390x"}
)
_SAME_ARCHITECTURE = {"arm64": "aarch64", "amd64": "x86_64"}

_PYTHON = re.compile(r"([23])\.([0-9]{1,2})(?![0-9])")
_NUMBERS = re.compile(r"([0-9]{1,4})(?:\.([0-9]{1,3}))?(?![0-9])")
_SPOKEN = re.compile(r"([a-z][a-z0-9_-]{0,30})/([0-9][0-9a-z.+-]{0,30})(?:\s|$)", re.IGNORECASE)


class Agent(NamedTuple):
    """A kind of client; the empty string stands for what it does not say, or says in no way we know."""

    installer: str = UNKNOWN
    installer_version: str = ""
    python: str = ""
    os: str = ""
    os_release: str = ""
    architecture: str = ""

    @property
    def is_installer(self) -> bool:
        """Whether it installs packages, and does not just look at pages."""
        return self.installer in INSTALLERS


def is_builders(agent: str) -> bool:
    """Tell whether a builder asks, who fetches for its builds what nobody has installed."""
    return agent.startswith(AGENT)


@lru_cache(maxsize=_CACHED)
def recognise(agent: str) -> Agent:
    """Return what an agent says; never raises, whatever that is."""
    if not agent or len(agent) > MAX_LENGTH or "\0" in agent:
        return Agent()
    try:
        said = parser.parse(agent)
    # The library raises what its own parts do, of which there are many, over agents that nobody thought of.
    except Exception:
        said = None
    if said is None:
        return _spoken(agent)
    facts = _facts(said)
    if facts.installer != UNKNOWN:
        return facts
    spoken = _spoken(agent)
    return facts._replace(installer=spoken.installer, installer_version=spoken.installer_version)


def _spoken(agent: str) -> Agent:
    """Return what the first word tells, where the rest cannot be read."""
    word = _SPOKEN.match(agent)
    name = word[1].lower() if word else ""
    if word is None or name not in INSTALLERS:
        return Agent(OTHER if word else UNKNOWN)
    return Agent(name, _numbers(word[2], two=True))


def _facts(said: UserAgent) -> Agent:
    """Return what we count of what was understood."""
    installer, implementation, distro = said.installer, said.implementation, said.distro
    return described(
        installer=installer.name if installer else None,
        installer_version=installer.version if installer else None,
        pythons=[said.python, implementation.version if implementation else None],
        distro=distro.name if distro else None,
        distro_release=distro.version if distro else None,
        kernel=said.system.name if said.system else None,
        cpu=said.cpu,
    )


def described(
    *,
    installer: str | None,
    installer_version: str | None,
    pythons: Iterable[str | None],
    distro: str | None,
    distro_release: str | None,
    kernel: str | None,
    cpu: str | None,
) -> Agent:
    """Return what we count of facts that a client's agent said, or that were noted of it."""
    name = installer.lower() if isinstance(installer, str) else UNKNOWN
    version = installer_version
    if name not in INSTALLERS:
        name, version = BROWSER if name == BROWSER else UNKNOWN if name == UNKNOWN else OTHER, None
    system, release = _system(distro, distro_release, kernel)
    return Agent(
        installer=name,
        installer_version=_numbers(version, two=True),
        python=_python(pythons),
        os=system,
        os_release=_numbers(release, two=system in _TWO_NUMBERS),
        architecture=_architecture(cpu),
    )


def _python(said: Iterable[str | None]) -> str:
    """Return the first of these versions that can be one of Python."""
    found = (_PYTHON.match(version) for version in said if version)
    return next((f"{match[1]}.{match[2]}" for match in found if match), "")


def _system(distro: str | None, distro_release: str | None, kernel: str | None) -> tuple[str, str | None]:
    """Return the operating system, and its release as the client has it."""
    for name, release in [(distro, distro_release), (kernel, None)]:
        if system := _known_system(name):
            return system, release
    return ("linux" if kernel and kernel.lower() == "linux" else ""), None


def _known_system(name: str | None) -> str:
    """Return our word for a distribution or a kernel; "" for one that we have none for."""
    name = (name or "").lower()
    if system := next((known for known in _SYSTEMS if name.startswith(known)), ""):
        return system
    return next((ours for theirs, ours in _ALSO_KNOWN_AS.items() if name.startswith(theirs)), "")


def _architecture(cpu: str | None) -> str:
    """Return the processor, "other" for one that no Python runs on as far as we know."""
    cpu = (cpu or "").lower()
    cpu = _SAME_ARCHITECTURE.get(cpu, cpu)
    return cpu if not cpu or cpu in _ARCHITECTURES else OTHER


def _numbers(version: str | None, *, two: bool) -> str:
    """Return the first or the first two numbers of a version."""
    match = _NUMBERS.match(version or "")
    if not match:
        return ""
    return f"{match[1]}.{match[2]}" if two and match[2] else match[1]

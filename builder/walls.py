"""What a build sees: the words for bubblewrap.

The system read-only, folders of the build's own, and nothing else: no home, no secret, no device, no network
but a loopback of its own.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from builder import visible
from builder.place import Place

# The same for every build, so that no path and no number in a wheel tells where it was built.
USER = 65532
_HOST = "build"
_SHM_BYTES = 64 << 20
_DOORWAY = Path(__file__).resolve().with_name("doorway.py")
PROXY_SOCKET = Path("/run/proxy.sock")
DOORWAY = Path("/run/doorway.py")


# What compilers and interpreters read; none of it is secret.
_SHOWN = (
    "/etc/alternatives",
    "/etc/debian_version",
    "/etc/dpkg",
    "/etc/fonts",
    "/etc/java",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/os-release",
    "/etc/perl",
    "/etc/protocols",
    "/etc/python3",
    "/etc/rpc",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/xml",
    "/var/lib/dpkg",
)
WRITTEN = {
    "/etc/passwd": f"root:x:0:0::/root:/usr/sbin/nologin\nbuild:x:{USER}:{USER}::/home/build:/bin/sh\n",
    "/etc/group": f"root:x:0:\nbuild:x:{USER}:\n",
    "/etc/hosts": f"127.0.0.1 localhost {_HOST}\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


def inside(place: Place) -> dict[Path, Path]:
    """Return where the folders of a place are inside."""
    return {
        place.source: Path("/in"),
        place.src: Path("/build"),
        place.home: Path("/home/build"),
        place.tmp: Path("/tmp"),  # noqa: S108 - the build's own, on the disk: a Pi's memory is short
        place.out: Path("/out"),
    }


def words(
    place: Place,
    *,
    readable: Mapping[Path, Path],
    written: Mapping[str, int],
    doorway: Path | None,
    libraries: Path | None,
) -> list[str]:
    """Return bubblewrap's arguments that make the world; `written` are descriptors of WRITTEN's files."""
    return [
        *("--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"),
        *("--unshare-cgroup-try", "--disable-userns", "--die-with-parent", "--new-session", "--clearenv"),
        *("--uid", str(USER), "--gid", str(USER), "--hostname", _HOST, "--cap-drop", "ALL"),
        *_system(),
        *_etc(written),
        # Read-only, as a build that belongs to root could set the kernel's switches in /proc/sys.
        *("--proc", "/proc", "--remount-ro", "/proc"),
        *("--dev", "/dev", "--perms", "1777", "--size", str(_SHM_BYTES), "--tmpfs", "/dev/shm"),  # noqa: S108
        *("--remount-ro", "/dev"),
        *_own(place),
        *_read_only(readable),
        *(_read_only({doorway: PROXY_SOCKET, _DOORWAY: DOORWAY}) if doorway else ()),
        *(_chosen(libraries) if libraries else ()),
        # Last: what bubblewrap made for all of these lies in memory, without a limit.
        *("--remount-ro", "/"),
    ]


def _system() -> list[str]:
    """Return the words that show the system and the interpreter."""
    shown = ["--ro-bind", "/usr", "/usr", "--ro-bind-try", *(["/sys/devices/system/cpu"] * 2)]
    for path in [*sorted(Path("/").glob("lib*")), Path("/bin"), Path("/sbin")]:
        if path.is_symlink():
            shown += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            shown += ["--ro-bind", str(path), str(path)]
    home = Path(sys.base_prefix)
    if not home.is_relative_to("/usr"):
        shown += _read_only({home: home})
    return shown


def _etc(written: Mapping[str, int]) -> list[str]:
    """Return the words that make /etc, and what else is shown of single files."""
    made = [word for path in _SHOWN for word in ("--ro-bind-try", path, path)]
    for path, descriptor in written.items():
        made += ["--perms", "0444", "--ro-bind-data", str(descriptor), path]
    return made


def _own(place: Place) -> list[str]:
    """Return the words for the folders of a build, of which only the source's is not for writing."""
    return [
        word
        for outside, within in inside(place).items()
        for word in ("--ro-bind" if outside == place.source else "--bind", str(outside), str(within))
    ]


def _read_only(paths: Mapping[Path, Path]) -> list[str]:
    """Return the words that show paths."""
    return [word for outside, within in paths.items() for word in ("--ro-bind", str(outside), str(within))]


def _chosen(libraries: Path) -> list[str]:
    """Return the words that put chosen libraries into the place of all that the system has."""
    own = visible.folder_of_libraries()
    return [] if own is None else _read_only({own: visible.ALL, libraries: own})


def shows(path: Path) -> bool:
    """Tell whether a path of the system is the same inside."""
    roots = (Path("/usr"), Path("/bin"), Path("/lib"), Path(sys.base_prefix))
    return any(path.is_relative_to(root) for root in roots)

"""A root of a 32-bit ARM Debian, made by debootstrap once and kept as a tarball."""

import ast
import hashlib
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests import services
from tests.arm import inside

SUITE = "bookworm"
# Another number makes everybody's cached roots anew.
_RECIPE = 1
# Fast before small: it is written once and read on each run.
_COMPRESSION = "gzip -1"
# How long a command inside may take, on a machine that is busy with other things; and what says that it did.
_PATIENCE_S = 3600.0
_TIMED_OUT = 124

# What this machine needs, and the programs by which we know that it is there.
_NEEDED = {"qemu-user-static": "qemu-arm-static", "debootstrap": "debootstrap"}

# Inside, so that pip and the builder trust whom this machine trusts.
CERTIFICATES = "/etc/ssl/host-certificates.pem"
# What of this machine's configuration of pip means something on another machine.
_PIP_OPTIONS = {"index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout"}
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")

# What apt asks for by default is more than a builder needs, and it would fetch as a user of its own.
_APT = """\
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
"""
# Nothing here would be missed after a power cut.
_DPKG = "force-unsafe-io\n"


class CannotMake(Exception):
    """A root cannot be made here; the text says what to do."""


class CommandFailed(Exception):
    """A command inside ended badly; the text is the end of what it printed."""


class Root:
    """The folder of a root, whose programs run as if this machine were an ARM."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder = folder
        self.log = log

    def command(self, words: Sequence[str], user: str = "root") -> list[str]:
        """Return the command of this machine that runs another one inside."""
        return [sys.executable, "-I", "-S", inside.__file__, str(self.folder), user, *words]

    def environment(self, further: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of a command inside: nothing of ours but the way to the network."""
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive",
            **{name: os.environ[name] for name in _PROXIES if name in os.environ},
            **(further or {}),
        }

    def run(self, *words: str, user: str = "root", environment: Mapping[str, str] | None = None) -> str:
        """Run a command inside and return what it printed; raises CommandFailed."""
        with self.log.open("a+b") as log:
            log.write(f"\n+ {' '.join(words)}\n".encode())
            log.flush()
            began = log.tell()
            try:
                code = subprocess.run(
                    self.command(words, user),
                    env=self.environment(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=_PATIENCE_S,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                code = _TIMED_OUT
            log.seek(began)
            printed = log.read().decode(errors="replace")
        if code:
            raise CommandFailed(f"{words[0]} ended with status {code}.\n{printed[-3000:]}")
        return printed

    def write(self, path: str, text: str) -> None:
        """Write a file inside."""
        file = self.folder / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def processes(self) -> list[int]:
        """Return the ids of the processes that are inside now."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if (entry / "root").readlink() == self.folder:
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def pack(self, tarball: Path) -> None:
        """Keep the root as a tarball, whole or not at all, and private, as pip's settings may be.

        Those of the same kind that were made from something else go.
        """
        part = tarball.with_name(f"{tarball.name}.part")
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        _run("tar", "-I", _COMPRESSION, "--numeric-owner", "--one-file-system", "-C", self.folder,
             "-cf", part, ".")  # fmt: skip
        kind, _, _ = tarball.name.rpartition("-")
        for other in tarball.parent.glob(f"{kind}-*.tar.gz"):
            other.unlink()
        part.rename(tarball)

    def unpack(self, tarball: Path) -> None:
        """Become what was packed."""
        _run("tar", "-I", _COMPRESSION, "--numeric-owner", "-C", self.folder, "-xpf", tarball)


def tarball_of(cache: Path, kind: str, *parts: bytes) -> Path:
    """Return where a root of a kind is kept that was made from those parts."""
    return cache / f"{SUITE}-armhf-{kind}-{key(*parts)}.tar.gz"


def key(*parts: bytes) -> str:
    """Return a short name of what a root was made from."""
    digest = hashlib.sha256()
    for part in (f"{_RECIPE} {_APT} {_DPKG}".encode(), *parts):
        digest.update(f"{len(part)} ".encode() + part)
    return digest.hexdigest()[:12]


def check() -> None:
    """Install what this machine lacks; raises CannotMake, or services.CannotInstall."""
    if os.geteuid():
        raise CannotMake("A root can be made by root alone: run `sudo make test-arm`.")
    services.install([package for package, program in _NEEDED.items() if not shutil.which(program)])


def base(root: Root, cache: Path) -> bool:
    """Make a root of the smallest Debian; return whether it was in the cache."""
    tarball = tarball_of(cache, "base")
    if known := tarball.exists():
        root.unpack(tarball)
    else:
        _debootstrap(root)
        root.pack(tarball)
    adapt(root)
    return known


def _debootstrap(root: Root) -> None:
    """Make a root from the packages of the mirror that this machine's own come from."""
    mirror = _mirror()
    with root.log.open("a") as log:
        options = ["--arch=armhf", "--variant=minbase", "--foreign"]
        done = subprocess.run(
            ["debootstrap", *options, SUITE, str(root.folder), mirror],
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise CannotMake(f"debootstrap cannot take {SUITE} for armhf from {mirror}: {root.log} says why.")
    # In a container debootstrap leaves a link there, to the /proc of the container.
    if (root.folder / "proc").is_symlink():
        (root.folder / "proc").unlink()
        (root.folder / "proc").mkdir()
    root.write("/etc/dpkg/dpkg.cfg.d/test", _DPKG)
    # With this it makes no devices, which nobody may in a namespace of users.
    root.run("/debootstrap/debootstrap", "--second-stage", environment={"container": "lxc"})
    # Of stable alone, as a root lives for minutes.
    root.write("/etc/apt/sources.list", f"deb {mirror} {SUITE} main\n")
    root.write("/etc/apt/apt.conf.d/99test", _APT)
    # To hash each authority's certificate takes a minute here; CERTIFICATES has them all in one file.
    question = "ca-certificates ca-certificates/trust_new_crts select no"
    root.run("sh", "-c", f"echo {question} | debconf-set-selections")


def _mirror() -> str:
    """Return the address of a mirror of Debian: what PIWHEELS_ARM_MIRROR says, or this machine's own."""
    if named := os.environ.get("PIWHEELS_ARM_MIRROR"):
        return named
    ask = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"]
    for suite in ([f"Codename: {SUITE}"], []):
        done = subprocess.run([*ask, *suite], capture_output=True, text=True, check=False)
        if found := done.stdout.split():
            return found[0]
    raise CannotMake(
        "This machine's apt has no mirror of Debian (after `apt-get update`): set PIWHEELS_ARM_MIRROR."
    )


def adapt(root: Root) -> None:
    """Let a root reach the network as this machine does, and trust whom it trusts."""
    for path in ("/etc/resolv.conf", "/etc/hosts"):
        root.write(path, Path(path).read_text())
    root.write(CERTIFICATES, _certificates().read_text())
    root.write("/etc/pip.conf", pip_conf())


def _certificates() -> Path:
    """Return the file of the certificates that this machine trusts."""
    named = [os.environ.get(name) for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")]
    for path in (*named, ssl.get_default_verify_paths().cafile, "/etc/ssl/certs/ca-certificates.crt"):
        if path and Path(path).is_file():
            return Path(path)
    raise CannotMake("This machine has no file of trusted certificates: run `apt install ca-certificates`.")


def pip_conf() -> str:
    """Return this machine's configuration of pip, without what is true of this machine alone."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    found = {"cert": CERTIFICATES}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        option, text = name.rpartition(".")[2], str(ast.literal_eval(value))
        if option in _PIP_OPTIONS and "file:" not in text:
            found[option] = text
    return "[global]\n" + "".join(f"{option} = {value}\n" for option, value in found.items())


def _run(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True)

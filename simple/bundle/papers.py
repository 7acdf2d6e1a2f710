"""What is in a bundle beside the wheels: how to install them, and what they are (no Django).

Nothing that a stranger wrote gets into the script: names of files, packages and versions are in the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from builds import debian


@dataclass(frozen=True)
class Entry:
    """A wheel in a bundle, as its page lists it."""

    name: str
    version: str
    filename: str
    size: int
    sha256: str
    is_ours: bool
    wanted_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Content:
    """All that a bundle is made of; the same content is the same zip."""

    system: str  # the target's title
    pi: str  # the model's name; "" for any
    python: str
    processor: str
    entries: tuple[Entry, ...]
    apt: tuple[str, ...]
    present: tuple[str, ...]  # as name==version; what has to be on the machine


def apt_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return those that are names of Debian packages, sorted."""
    return tuple(sorted({name for name in names if debian.is_package(name)}))


def papers(content: Content) -> Mapping[str, str]:
    """Return the texts of a bundle by their names."""
    wheels = sorted(content.entries, key=lambda entry: entry.filename)
    found = {
        "README.txt": _readme(content),
        "SHA256SUMS": "".join(f"{entry.sha256}  wheels/{entry.filename}\n" for entry in wheels),
        "install.sh": _SCRIPT.replace("@PYTHON@", content.python),
        "requirements.txt": "".join(
            f"{entry.name}=={entry.version} --hash=sha256:{entry.sha256}\n" for entry in content.entries
        ),
    }
    if content.apt:
        found["apt.txt"] = f"{' '.join(content.apt)}\n"
    return found


def _readme(content: Content) -> str:
    machine = f"{content.system}{f' on a {content.pi}' if content.pi else ''}"
    parts = [
        f"""\
{len(content.entries)} Python packages to install without a network
{"=" * 50}

For {machine}: Python {content.python} on {content.processor}.

"""
    ]
    if content.apt:
        parts.append(
            f"""\
Before: the wheels need these packages of the system, which are not in here
(apt.txt has the same line):

    sudo apt install {" ".join(content.apt)}

Where there is no network, a machine with the same system that has one can
fetch them, with all that they need in turn. It has to know what is there
already: copy /var/lib/dpkg/status, as the machine without a network has it,
or a fresh card of its system, into the folder of this file. There, where
the network is:

    mkdir -p debs/partial
    sudo apt-get update
    sudo apt-get install --download-only --no-install-recommends \\
      -o Dir::State::status="$PWD/status" -o Dir::Cache::archives="$PWD/debs" \\
      {" ".join(content.apt)}

Carry the folder debs, too. Then, where the wheels are to be installed:

    sudo apt-get install --no-install-recommends ./debs/*.deb

"""
        )
    if content.present:
        parts.append(
            "Not in here, as you said that the machine has it:\n\n"
            + "".join(f"    {each}\n" for each in content.present)
            + "\n"
        )
    parts.append(_HOW)
    parts += [f"    {entry.name} {entry.version}{_why(entry)}\n" for entry in content.entries]
    return "".join(parts)


def _why(entry: Entry) -> str:
    return f", for {', '.join(entry.wanted_by)}" if entry.wanted_by else ""


_HOW = """\
To install
----------

In the folder of this file, into a virtual environment, which is made if it
is not there:

    sh install.sh ~/my-environment

or into the environment that is active:

    sh install.sh

It looks at all sums first, and asks no network. The same by hand:

    sha256sum -c SHA256SUMS
    python3 -m pip install --no-index --find-links wheels --require-hashes \\
      -r requirements.txt

What is in here
---------------

"""

# `python3 -m venv` needs Debian's python3-venv, and says so itself.
_SCRIPT = """\
#!/bin/sh
# Installs the wheels beside it; needs no network.
#   sh install.sh           into the environment that is active
#   sh install.sh FOLDER    into the virtual environment in FOLDER, which is made if it is not there
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
found=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ "$found" != "@PYTHON@" ]; then
  echo "These wheels are for Python @PYTHON@, and $python is $found." >&2
  echo "Where there is another: PYTHON=python@PYTHON@ sh $0" >&2
  exit 1
fi
(cd "$here" && sha256sum -c --quiet SHA256SUMS)
if [ $# -gt 0 ]; then
  [ -x "$1/bin/python" ] || "$python" -m venv "$1"
  python=$1/bin/python
elif "$python" -c 'import os, sys, sysconfig
mark = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
sys.exit(sys.prefix != sys.base_prefix or not os.path.exists(mark))'; then
  echo "This Python belongs to the system, which lets pip only into an environment: sh $0 ~/env" >&2
  exit 1
fi
exec "$python" -m pip install --disable-pip-version-check --no-index --find-links "$here/wheels" \\
  --require-hashes -r "$here/requirements.txt"
"""

"""The build backend of the hostile sdists: it lets an attack have its way, then makes an honest wheel.

It travels inside each sdist and runs on the Python that builds, with the standard library alone.  What an
attack gains it says itself, as a line that begins with HOLE, and that it broke down before it was refused as
MISTAKE; the test reads the log for such lines.
"""

import base64
import hashlib
import json
import os
import signal
import socket
import sys
import zipfile
from pathlib import Path

MIB, GIB = 1 << 20, 1 << 30
NAME, VERSION = "tiny", "1.0"
INFO = f"{NAME}-{VERSION}.dist-info"
PURE = f"{NAME}-{VERSION}-py3-none-any.whl"
PYTHON_2 = f"{NAME}-{VERSION}-py2-none-any.whl"
WHEN = (1980, 1, 1, 0, 0, 0)

# What the test tells the attack: where its canaries and listeners are, and how it is boxed in.
SCENE = json.loads(Path("scene.json").read_text()) if Path("scene.json").exists() else {}


def get_requires_for_build_wheel(config_settings=None):
    """Ask for what the scene says."""
    return SCENE.get("requires", [])


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    """Describe the wheel honestly, whatever it will be."""
    folder = Path(metadata_directory, INFO)
    folder.mkdir()
    for path, body in honest().items():
        if path.startswith(INFO):
            Path(metadata_directory, path).write_bytes(body)
    return INFO


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Attack, and make a wheel unless the attack named one."""
    try:
        from attack import attack  # type: ignore[import-not-found]

        made = attack(Path(wheel_directory))
    except (MemoryError, EOFError):
        raise  # what some of them are after
    except Exception as error:
        say(f"MISTAKE: {error!r}")
        raise
    return made or write_wheel(Path(wheel_directory, PURE), honest())


def say(text):
    """Print to the log; pip shows it when the build fails."""
    print(text, file=sys.stderr, flush=True)


def hole(text, *, level="box"):
    """Say that an attack gained what no build may have at that level or above it."""
    say(f"HOLE({level}): {text}")


def must_fail(what, deed, *, level="box"):
    """Try something that must be refused at that level."""
    try:
        gained = deed()
    except OSError as error:
        say(f"refused: {what}: {error!r:.200}")
    else:
        hole(f"{what} gave {gained!r:.200}", level=level)


def give_up(text="everything was tried"):
    """End as a failure, so that the log shows what was said."""
    raise SystemExit(text)


def ancestors():
    """Return the processes above this one, as far as they can be seen."""
    found, pid = [], os.getppid()
    while pid > 0:
        found.append(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
    return found


def pip():
    """Return the process of `pip wheel` and its arguments."""
    for pid in ancestors():
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        if "--wheel-dir" in words:
            return pid, words
    raise LookupError("no pip is above this process")


def out():
    """Return the folder that wheels come out of, the real one and not pip's temporary folder."""
    words = pip()[1]
    return Path(words[words.index("--wheel-dir") + 1])


def shout(chunk):
    """Write to where pip itself writes, past its custody of what a backend prints."""
    with Path(f"/proc/{pip()[0]}/fd/1").open("wb", buffering=0) as pipe:
        pipe.write(chunk)


def daemon(deed, *, keep_output=False, keep=-1):
    """Run a deed in a process that belongs to nobody and is deaf to requests to end."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            if not keep_output:
                silence = os.open(os.devnull, os.O_RDWR)
                for descriptor in range(3):
                    os.dup2(silence, descriptor)
                for descriptor in range(3, 256):
                    if descriptor != keep:
                        os.closerange(descriptor, descriptor + 1)
            deed()
        os._exit(0)
    os.wait()


def fill(path, size, *, block=4 * MIB):
    """Write that many bytes, or as many as the disk takes; return how many it took."""
    written = 0
    content = os.urandom(block)
    try:
        with open(path, "wb", buffering=0) as file:
            while written < size:
                written += file.write(content)
    except OSError as error:
        say(f"{path} took {written >> 20} MiB: {error}")
    return written


def knock(address, *, kind=socket.SOCK_STREAM, family=socket.AF_INET, message=b"GET /hostile\r\n\r\n"):
    """Connect and send a message."""
    with socket.socket(family, kind) as caller:
        caller.settimeout(2)
        caller.connect(address)
        caller.sendall(message)


def listening_ports():
    """Return the ports that somebody listens on, as this process can see them."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return [int(line.split()[1].rpartition(":")[2], 16) for line in lines if line.split()[3] == "0A"]


def honest(name=NAME, version=VERSION, tag="py3-none-any", extra=None):
    """Return the members of an honest wheel, without RECORD."""
    info = f"{name}-{version}.dist-info"
    return {
        f"{name}.py": b"answer = 42\n",
        **(extra or {}),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tiny\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }


def write_wheel(path, members, *, info=INFO, record=None, add=()):
    """Write a wheel of those members with its RECORD, then further ones as they are; return its name."""
    if record is None:
        record = "".join(f"{name},sha256={_digest(body)},{len(body)}\n" for name, body in members.items())
        record += f"{info}/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, body in {**members, f"{info}/RECORD": record.encode()}.items():
            wheel.writestr(head_of(name), body, zipfile.ZIP_DEFLATED)
        for head, body in add:
            wheel.writestr(head if isinstance(head, zipfile.ZipInfo) else head_of(head), body)
    return Path(path).name


def head_of(name, mode=0o100644):
    """Return the head of a member, without the time of day."""
    head = zipfile.ZipInfo(name, WHEN)
    head.external_attr = mode << 16
    return head


def _digest(body):
    """Return a hash as RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()

"""Packages whose build leaves something else than the one honest wheel that was ordered."""

import os
import sys
import time
import zipfile
from pathlib import Path

from tests.hostile.backend import (
    INFO,
    MIB,
    PURE,
    PYTHON_2,
    SCENE,
    daemon,
    head_of,
    honest,
    must_fail,
    out,
    say,
    write_wheel,
)
from tests.hostile.package import End, Package


def adds_the_wheel_of_another_project(folder):
    """Leave a wheel of another project next to its own."""
    other = honest(name="numpy", version="9.9")
    write_wheel(out() / "numpy-9.9-py3-none-any.whl", other, info="numpy-9.9.dist-info")


def is_another_project_inside(folder):
    """Put another project into a wheel that bears the ordered name."""
    members = honest(name="numpy", version="1.0")
    return write_wheel(folder / PURE, members, info="numpy-1.0.dist-info")


def lies_about_its_version(folder):
    """Make a wheel of another version than the one that was ordered."""
    members = honest(version="2.0")
    return write_wheel(folder / "tiny-2.0-py3-none-any.whl", members, info="tiny-2.0.dist-info")


def says_another_version_inside(folder):
    """Say another version in METADATA than in the wheel's name."""
    members = honest()
    members[f"{INFO}/METADATA"] = members[f"{INFO}/METADATA"].replace(b"1.0\n", b"2.0\n", 2)
    return write_wheel(folder / PURE, members)


def leaves_two_wheels(folder):
    """Leave a second honest wheel, for Python 2 as well, next to the one for Python 3."""
    members = honest()
    members[f"{INFO}/WHEEL"] += b"Tag: py2-none-any\n"
    write_wheel(out() / "tiny-1.0-py2.py3-none-any.whl", members)


def leaves_none(folder):
    """Name a wheel that it never made."""
    return PURE


def takes_its_wheel_back(folder):
    """Leave a process that removes the wheel as soon as pip has put it in its place."""
    place = out()

    def remove():
        for _ in range(60_000):
            for path in place.glob("*.whl"):
                path.unlink(missing_ok=True)
            time.sleep(0.0005)

    daemon(remove)


def names_a_wheel_above(folder):
    """Name a wheel by a path that leads out of the folder."""
    name = f"{SCENE['token']}-1.0-py3-none-any.whl"
    write_wheel(folder / ".." / name, honest())
    return f"../{name}"


def returns_no_name(folder):
    """Return something that is no file name."""
    return "tiny\n\x1b[31m.whl\0"


def leaves_bad_names(folder):
    """Leave wheels whose names are long, hidden, or have what no name should."""
    must_fail("300 characters", (out() / f"{'a' * 292}.whl").touch, level="bare")
    for name in (f"{'a' * 230}-1.0-py3-none-any.whl", "tiny-1.0-py3\n-none-any.whl", ".whl"):
        write_wheel(out() / name, honest())


def leaves_a_link(folder):
    """Leave a link to the builder's secret in the place of a wheel."""
    os.symlink(SCENE["secrets"][0], out() / PYTHON_2)


def leaves_a_hard_link(folder):
    """Leave a second name of the builder's secret in the place of a wheel."""
    try:
        os.link(SCENE["secrets"][0], out() / PYTHON_2)
    except OSError as error:
        say(f"refused: {error}")
        write_wheel(out() / PYTHON_2, honest(tag="py2-none-any"))
        os.link(out() / PYTHON_2, out() / "second-name")


def leaves_a_pipe(folder):
    """Leave a FIFO that keeps waiting whoever opens it."""
    os.mkfifo(out() / PYTHON_2)


def leaves_a_folder(folder):
    """Leave a folder that is called like a wheel."""
    (out() / PYTHON_2 / "inside").mkdir(parents=True)


def leaves_a_file_with_rights(folder):
    """Leave wheels that would run with the rights of their owner."""
    write_wheel(out() / PURE, honest())
    for path in (out() / PURE, folder / PURE):
        write_wheel(path, honest())
        path.chmod(0o6755)
    return PURE


def leaves_many(folder):
    """Leave twenty wheels."""
    for number in range(20):
        write_wheel(out() / f"tiny-1.0-{number}-py3-none-any.whl", honest())


def packs_a_bomb(folder):
    """Make a wheel of 5 MB that unpacks to almost 1 GiB."""
    write_wheel(folder / PURE, honest())
    head = head_of("bomb.txt")
    head.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(folder / PURE, "a", compresslevel=1) as wheel, wheel.open(head, "w") as member:
        for _ in range(63):
            member.write(bytes(16 * MIB))
    return PURE


def describes_itself_at_length(folder):
    """Make a wheel with a METADATA of 10 MB."""
    members = honest()
    members[f"{INFO}/METADATA"] += b"\n" + b"It is good. " * (10 * MIB // 12)
    return write_wheel(folder / PURE, members)


def packs_many_files(folder):
    """Make a wheel with 100,000 files."""
    files = {f"tiny_data/{number}": b"" for number in range(100_000)}
    return write_wheel(folder / PURE, honest(extra=files))


def packs_long_names(folder):
    """Make a wheel with a member of 300 characters, which few file systems can name."""
    return write_wheel(folder / PURE, honest(extra={"a" * 300 + ".py": b""}))


def records_wrongly(folder):
    """Make a wheel whose RECORD has other hashes than its files."""
    members = honest()
    record = "".join(f"{name},sha256={'A' * 43},{len(body)}\n" for name, body in members.items())
    return write_wheel(folder / PURE, members, record=f"{record}{INFO}/RECORD,,\n")


def records_nothing(folder):
    """Make a wheel with files that RECORD does not list."""
    return write_wheel(folder / PURE, honest(), add=[("tiny_extra.py", b"import os\n")])


def packs_duplicates(folder):
    """Make a wheel with two files of one name, of which each reader may see another."""
    import warnings

    warnings.simplefilter("ignore")
    return write_wheel(folder / PURE, honest(), add=[("tiny.py", b"answer = 43\n")])


def packs_a_link(folder):
    """Make a wheel with a symbolic link in it."""
    return write_wheel(folder / PURE, honest(), add=[(head_of("tiny_link", 0o120777), b"/etc/passwd")])


def packs_paths_upwards(folder):
    """Make a wheel with a file that unpacks elsewhere, listed in RECORD as is proper."""
    return write_wheel(folder / PURE, honest(extra={f"../../../../tmp/{SCENE['token']}": b"planted"}))


def packs_rights(folder):
    """Make a wheel with a program that would run with the rights of its owner."""
    return write_wheel(folder / PURE, honest(), add=[(head_of("tiny_root", 0o104755), b"#!/bin/sh\n")])


def packs_two_projects(folder):
    """Make a wheel with a second project in it."""
    other = {f"numpy-9.9.dist-info/{name}": b"Metadata-Version: 2.1\n" for name in ("METADATA", "WHEEL")}
    return write_wheel(folder / PURE, honest(extra=other))


def packs_machine_code_for_all(folder):
    """Put machine code into a wheel that is named for any platform."""
    return write_wheel(folder / PURE, honest(extra={"tiny_fast.so": Path("/bin/true").read_bytes()}))


def packs_a_lying_elf(folder):
    """Put ELF files into a wheel whose tables lead nowhere, in circles, or to 4 billion entries."""
    import sysconfig

    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}-abi3-{platform}"
    whole = Path("/bin/true").read_bytes()
    damaged = {
        "tiny_a.so": whole[:64],
        "tiny_b.so": whole[:40] + b"\xff" * 24 + whole[64:],
        "tiny_c.so": whole[:64] + b"\xff" * 2000 + whole[2064:],
        "tiny_d.so": b"\x7fELF" + b"\x02\x01\x01" + bytes(9) + b"\xff" * 100_000,
        "tiny_e.so": whole[: len(whole) // 2] + os.urandom(0) + b"\xff" * (len(whole) // 2),
    }
    return write_wheel(folder / f"tiny-1.0-{tag}.whl", honest(tag=tag, extra=damaged))


def is_no_zip(folder):
    """Make a wheel that is a page of HTML."""
    (folder / PURE).write_bytes(b"<html>" * 1000)
    return PURE


def attacks_when_imported(folder):
    """Make a wheel whose module does harm when it is imported, as whoever tries the wheel will do."""
    code = (
        "import os, signal, sys, time\n"
        "for place in ('/tmp', '/dev/shm', '/var/tmp', '/etc', os.path.expanduser('~')):\n"
        "    try: open(place + '/%s', 'w').close()\n"
        "    except OSError: pass\n"
        "for root in ('/out', '/in', '/src', '.', '..'):\n"
        "    for path, _, names in os.walk(root):\n"
        "        for name in names:\n"
        "            if name.endswith('.whl'):\n"
        "                try: open(os.path.join(path, name), 'ab').write(b'changed')\n"
        "                except OSError: pass\n"
        "if os.fork() == 0:\n"
        "    os.setsid(); time.sleep(600)\n"
        "os.kill(os.getppid(), signal.SIGKILL)\n"
        "time.sleep(15)\n"
    )
    members = honest(extra={"tiny_trap/__init__.py": (code % SCENE["token"]).encode()})
    return write_wheel(folder / PURE, members)


def _refused(says: str, *failures: str) -> End:
    """Return the end of a wheel that somebody on its way refuses, in these words: pip, builder or server."""
    return End(failures=failures or ("",), says=says)


_INVALID = "Built wheel for tiny is invalid: "  # as pip begins

PACKAGES = {
    "other-project": Package(
        adds_the_wheel_of_another_project,
        _refused("numpy-9.9-py3-none-any.whl is not tiny 1.0", "refused"),
        quick=True,
    ),
    "other-project-inside": Package(is_another_project_inside, _refused(_INVALID + ".*numpy-1.0.dist-info")),
    "other-version": Package(lies_about_its_version, _refused("tiny-2.0-py3-none-any.whl is not tiny 1.0")),
    "other-version-inside": Package(
        says_another_version_inside, _refused(_INVALID + ".*expected '2.0', got '1.0'")
    ),
    "two-wheels": Package(leaves_two_wheels, End("succeeded")),
    "no-wheel": Package(leaves_none, _refused("No such file or directory: .*tiny-1.0-py3-none-any.whl")),
    "wheel-taken-back": Package(takes_its_wheel_back, End(failures=("no-wheel", "", "bad-output"))),
    "wheel-above": Package(names_a_wheel_above, _refused(_INVALID + "Invalid wheel filename")),
    "no-name": Package(returns_no_name, _refused("embedded null byte")),
    "bad-names": Package(leaves_bad_names, _refused("cannot be a wheel's name", "bad-output")),
    "link-to-secret": Package(leaves_a_link, _refused("not a regular file", "bad-output"), quick=True),
    "hard-link-to-secret": Package(leaves_a_hard_link, _refused("not a regular file", "bad-output")),
    "pipe": Package(leaves_a_pipe, _refused("not a regular file", "bad-output")),
    "folder": Package(leaves_a_folder, _refused("not a regular file", "bad-output")),
    "file-with-rights": Package(leaves_a_file_with_rights, End("succeeded")),
    "many-wheels": Package(leaves_many, _refused("20 wheels|21 wheels", "bad-output")),
    "zip-bomb": Package(packs_a_bomb, _refused("would unpack to 1056964992 bytes"), time_limit_s=240),
    "long-metadata": Package(describes_itself_at_length, _refused("METADATA, of 1048576 bytes at most")),
    "many-files": Package(
        packs_many_files, _refused("more than 50000 members", "bad-output"), time_limit_s=240
    ),
    "long-member": Package(packs_long_names, End("succeeded")),
    "wrong-record": Package(records_wrongly, _refused("'tiny.py' is not what RECORD says")),
    "incomplete-record": Package(records_nothing, _refused("RECORD does not list 'tiny_extra.py'")),
    "duplicates": Package(packs_duplicates, _refused("'tiny.py' and 'tiny.py' are in each other's way")),
    "link-inside": Package(packs_a_link, _refused("tiny_link is neither a plain file")),
    "path-upwards": Package(packs_paths_upwards, _refused("leads out of its folder")),
    "rights-inside": Package(packs_rights, _refused("tiny_root would run with another user's rights")),
    "two-projects-inside": Package(packs_two_projects, _refused(_INVALID + ".*multiple .dist-info")),
    "machine-code-for-all": Package(
        packs_machine_code_for_all, _refused("tiny_fast.so is for ", "bad-output")
    ),
    "lying-elf": Package(packs_a_lying_elf, _refused("tiny_a.so cannot be read", "bad-output")),
    "no-zip": Package(is_no_zip, _refused("tiny-1.0-py3-none-any.whl is invalid")),
    "attacks-when-imported": Package(
        attacks_when_imported, End("succeeded"), not_at_bare="without a sandbox an import may do all"
    ),
}

"""Sources that are themselves the attack: what unpacks them must not follow where they lead."""

import gzip
import io
import tarfile
import zipfile

from tests.hostile.package import End, Package, pack, sources, special

_MIB = 1 << 20


def bombs() -> bytes:
    """A tar.gz of 3 MB that unpacks to 3 GiB."""
    head = tarfile.TarInfo("tiny-1.0/zeros")
    head.size = 3 << 30
    zeros = gzip.compress(bytes(16 * _MIB), compresslevel=9, mtime=0)
    files = _tar(sources())[:-1024].rstrip(b"\0")
    files += bytes(-len(files) % 512)
    # gzip allows for one stream after the other, so the zeros need not be packed anew.
    return _gz(files + head.tobuf()) + zeros * (head.size // (16 * _MIB)) + _gz(bytes(1024))


def zip_bombs() -> bytes:
    """A zip that unpacks to 3 GiB, in 192 files that share their name's beginning alone."""
    file = io.BytesIO()
    zeros = bytes(16 * _MIB)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in sources().items():
            archive.writestr(zipfile.ZipInfo(name), content)
        for number in range(192):
            head = zipfile.ZipInfo(f"tiny-1.0/zeros-{number}")
            head.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(head, zeros)
    return file.getvalue()


def entries() -> bytes:
    """A tar.gz of 210,000 empty files."""
    return pack(sources() | {f"tiny-1.0/files/{number}": b"" for number in range(210_000)})


def devices() -> bytes:
    """A tar.gz with the devices of memory and of the first disk."""
    return pack(
        sources(),
        [
            special("tiny-1.0/mem", tarfile.CHRTYPE, device=(1, 1)),
            special("tiny-1.0/disk", tarfile.BLKTYPE, device=(8, 0)),
        ],
    )


def pipes() -> bytes:
    """A tar.gz whose pyproject.toml is a FIFO that nobody writes to."""
    files = sources()
    del files["tiny-1.0/pyproject.toml"]
    return pack(files, [special("tiny-1.0/pyproject.toml", tarfile.FIFOTYPE)])


def links() -> bytes:
    """A tar.gz with a link out of its folder and a file that is written through it."""
    head = tarfile.TarInfo("tiny-1.0/way/planted-by-link")
    head.size = 7
    return pack(
        sources(),
        [special("tiny-1.0/way", tarfile.SYMTYPE, link="../../../../../../tmp"), (head, b"planted")],
    )


def hard_links() -> bytes:
    """A tar.gz with a second name of a file that is not in it."""
    return pack(sources(), [special("tiny-1.0/passwd", tarfile.LNKTYPE, link="../../../../../../etc/passwd")])


def absolute() -> bytes:
    """A tar.gz with a file whose path begins at the root."""
    return pack(sources() | {"/tmp/planted-by-absolute": b"planted"})


def upwards() -> bytes:
    """A tar.gz with a file whose path leads out of the folder."""
    return pack(sources() | {"tiny-1.0/../../planted-by-upwards": b"planted"})


def lies_about_its_name() -> bytes:
    """A tar.gz whose folder is that of another project."""
    return pack(sources(top="other-1.0/"))


def lies_about_its_version() -> bytes:
    """A tar.gz whose folder is that of another version."""
    return pack(sources(top="tiny-2.0/"))


def two_folders() -> bytes:
    """A tar.gz with two folders side by side."""
    return pack(sources() | sources(top="other-1.0/"))


def no_folder() -> bytes:
    """A tar.gz with its files side by side."""
    return pack(sources(top=""))


def no_project() -> bytes:
    """A tar.gz with neither pyproject.toml nor setup.py."""
    return pack({"tiny-1.0/README": b"There is nothing here.\n"})


def nothing() -> bytes:
    """A tar.gz of nothing."""
    return pack({})


def truncated() -> bytes:
    """A tar.gz that ends in its middle."""
    whole = pack(sources())
    return whole[: len(whole) // 2]


def no_archive() -> bytes:
    """A page of HTML by the name of a tar.gz."""
    return b"<html><body>Sign in to this network</body></html>"


def zip_upwards() -> bytes:
    """A zip with files whose paths lead out of the folder."""
    return _zip(sources() | {"../../../../tmp/planted-by-zip": b"x", "/tmp/planted-by-zip-absolute": b"x"})


def zip_links() -> bytes:
    """A zip with a link out of its folder and a file that is written through it."""
    head = zipfile.ZipInfo("tiny-1.0/way")
    head.external_attr = 0o120777 << 16
    head.create_system = 3
    return _zip(sources() | {"tiny-1.0/way/planted-by-link": b"x"}, [(head, b"/tmp")])


def deep() -> bytes:
    """A tar.gz with a file 1,000 folders deep."""
    return pack(sources() | {f"tiny-1.0/{'d/' * 1000}leaf": b""})


def strange_names() -> bytes:
    """A tar.gz with names that could act on a terminal or are no UTF-8."""
    names = (
        "new\nline",
        "\x1b[2Jcleared",
        "\u202egnp.exe",
        "\udcff\udcfe",
        "-rf",
        "~",
        "$(touch planted)",
        "a" * 250,
    )
    return pack(sources() | {f"tiny-1.0/{name}": b"" for name in names})


def rights() -> bytes:
    """A tar.gz with files that belong to root and run with its rights, and a folder that nobody may enter."""
    head = special("tiny-1.0/shell", tarfile.REGTYPE, mode=0o6777)
    return pack(sources(), [head, special("tiny-1.0/closed", tarfile.DIRTYPE, mode=0)])


def twice() -> bytes:
    """A tar.gz in which the file that names the backend comes twice, the second time as another one."""
    head = tarfile.TarInfo("tiny-1.0/attack.py")
    body = b"def attack(folder):\n    raise SystemExit('the second one was run')\n"
    head.size = len(body)
    return pack(sources(), [(head, body)])


def _tar(files: dict[str, bytes]) -> bytes:
    """Return a tar of those files."""
    return gzip.decompress(pack(files))


def _gz(content: bytes) -> bytes:
    """Return a stream of gzip."""
    return gzip.compress(content, mtime=0)


def _zip(files: dict[str, bytes], more=()) -> bytes:
    """Return a zip of those files, after further members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for head, content in more:
            archive.writestr(head, content)
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def _package(archive, end: End | None = None, **fields) -> Package:
    """A source that is no source."""
    return Package(None, end or _BAD, archive, **fields)


_BAD = End(failures=("bad-source",))
# What a source's folder is called proves nothing and is not looked at: the wheel has to be what was ordered.
_ZIP = "tiny-1.0.zip"

PACKAGES = {
    "tar-bomb": _package(bombs, End(failures=("bad-source", "disk-full")), time_limit_s=240),
    "zip-source-bomb": _package(
        zip_bombs, End(failures=("bad-source", "disk-full")), time_limit_s=240, filename=_ZIP
    ),
    "many-entries": _package(entries, End(failures=("bad-source", "disk-full")), time_limit_s=240),
    "devices": _package(devices, quick=True),
    "pipe-as-project": _package(pipes),
    "links-out": _package(links),
    "hard-links-out": _package(hard_links),
    "absolute-path": _package(absolute),
    "upward-path": _package(upwards),
    "folder-lies-about-name": _package(lies_about_its_name, End("succeeded")),
    "folder-lies-about-version": _package(lies_about_its_version, End("succeeded")),
    "two-folders": _package(two_folders),
    "no-folder": _package(no_folder, End("succeeded")),
    "no-project": _package(no_project, End(failures=("bad-source", ""))),
    "empty": _package(nothing),
    "truncated": _package(truncated),
    "no-archive": _package(no_archive),
    "zip-upwards": _package(zip_upwards, filename=_ZIP),
    "zip-links": _package(zip_links, filename=_ZIP),
    "deep-folders": _package(deep),
    "strange-names": _package(strange_names, End("succeeded")),
    "rights-in-source": _package(rights, End("succeeded")),
    "file-twice": _package(twice, End(failures=("", "bad-source"))),
}

"""Makes wheels, good ones and bad ones, as bytes."""

import csv
import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO, StringIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from packaging.tags import parse_tag

WHEN = (2026, 11, 24, 12, 0, 0)


def wheel_name(name="demo", version="1.0", tag="py3-none-any") -> str:
    """The file name of such a wheel."""
    return f"{name.replace('-', '_')}-{version}-{tag}.whl"


def make_wheel(
    name="demo",
    version="1.0",
    tag="py3-none-any",
    *,
    files: Mapping[str, bytes] | None = None,
    requires: Iterable[str] = (),
    requires_python: str | None = None,
    metadata: bytes | None = None,
    wheel: bytes | None = None,
    edit_record: Callable[[str], str] = str,
    unlisted: Mapping[str, bytes] | None = None,
    without: Iterable[str] = (),
    dist_info: str | None = None,
    compression: int = ZIP_DEFLATED,
    is_program: bool = False,
) -> bytes:
    """A wheel; a good one, unless something of it is replaced.

    `files` are more files besides the package's `__init__.py`; `unlisted` ones are not in RECORD, and those
    `without` are in RECORD, but not in the wheel.  With `is_program` all of them can be run.
    """
    module = name.replace("-", "_")
    dist_info = dist_info or f"{module}-{version}.dist-info"
    content = {
        f"{module}/__init__.py": f'__version__ = "{version}"\n'.encode(),
        **(files or {}),
        f"{dist_info}/METADATA": metadata or metadata_of(name, version, requires, requires_python),
        f"{dist_info}/WHEEL": wheel or wheel_of(tag),
    }
    record = edit_record(record_of(content, f"{dist_info}/RECORD"))
    content |= {f"{dist_info}/RECORD": record.encode(), **(unlisted or {})}
    members = [
        (member(path, 0o100755 if is_program else None), body)
        for path, body in content.items()
        if path not in set(without)
    ]
    return pack_members(members, compression)


def metadata_of(name="demo", version="1.0", requires: Iterable[str] = (), requires_python=None) -> bytes:
    """A METADATA."""
    lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Python: {requires_python}"] if requires_python else []
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    return "\n".join([*lines, "", "What it is good for.\n"]).encode()


def wheel_of(tag="py3-none-any", version="1.0") -> bytes:
    """A WHEEL."""
    tags = "".join(f"Tag: {each}\n" for each in sorted(str(one) for one in parse_tag(tag)))
    return f"Wheel-Version: {version}\nGenerator: make_wheel\nRoot-Is-Purelib: true\n{tags}".encode()


def record_of(content: Mapping[str, bytes], record: str) -> str:
    """A RECORD of those files and itself."""
    lines = StringIO()
    rows = csv.writer(lines, lineterminator="\n")
    for path, body in content.items():
        digest = urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
        rows.writerow([path, f"sha256={digest}", len(body)])
    rows.writerow([record, "", ""])
    return lines.getvalue()


def pack(content: Mapping[str, bytes], compression: int = ZIP_DEFLATED) -> bytes:
    """A zip of those files."""
    return pack_members([(member(path), body) for path, body in content.items()], compression)


def member(path: str, mode: int | None = None, extra: bytes = b"") -> ZipInfo:
    """The head of a file or folder in a zip."""
    info = ZipInfo(path, WHEN)
    info.external_attr = (mode or (0o40755 if path.endswith("/") else 0o100644)) << 16
    info.extra = extra
    return info


def pack_members(members: Iterable[tuple[ZipInfo, bytes]], compression: int = ZIP_DEFLATED) -> bytes:
    """A zip of those members, twice the same name if need be."""
    file = BytesIO()
    with ZipFile(file, "w") as archive:
        for info, body in members:
            archive.writestr(info, body, compression)
    return file.getvalue()

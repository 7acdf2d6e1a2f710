"""The bytes of the sample's wheels: small, real, and the same each time."""

import csv
import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from packaging.tags import parse_tag

# The earliest that a zip can say.
_WHEN = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class MadeWheel:
    """A wheel, and what its row says of it."""

    filename: str
    content: bytes
    metadata: bytes

    @property
    def sha256(self) -> str:
        """The digest of its bytes."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def metadata_sha256(self) -> str:
        """The digest of its METADATA."""
        return hashlib.sha256(self.metadata).hexdigest()


def make(
    name: str,
    version: str,
    tag: str,
    *,
    summary: str = "",
    requires: Sequence[str] = (),
    build_tag: int | None = None,
) -> MadeWheel:
    """Return a wheel of a version that holds one module, which says that it is a sample."""
    module = name.replace("-", "_")
    folder = f"{module}-{version}.dist-info"
    metadata = _metadata(name, version, summary, requires)
    code = f'"""A sample, not the real {name}."""\n\n__version__ = "{version}"\n'
    files = {
        f"{module}/__init__.py": code.encode(),
        f"{folder}/METADATA": metadata,
        f"{folder}/WHEEL": _wheel(tag, build_tag),
    }
    files[f"{folder}/RECORD"] = _record(files, f"{folder}/RECORD")
    middle = tag if build_tag is None else f"{build_tag}-{tag}"
    return MadeWheel(f"{module}-{version}-{middle}.whl", _zip(files), metadata)


def _metadata(name: str, version: str, summary: str, requires: Sequence[str]) -> bytes:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Summary: {summary}"] if summary else []
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    return "\n".join([*lines, "", "A sample, made to be looked at.", ""]).encode()


def _wheel(tag: str, build_tag: int | None) -> bytes:
    lines = ["Wheel-Version: 1.0", "Generator: piwheels-sample"]
    lines += [f"Root-Is-Purelib: {'true' if tag.endswith('-any') else 'false'}"]
    lines += [f"Build: {build_tag}"] if build_tag is not None else []
    lines += [f"Tag: {each}" for each in sorted(map(str, parse_tag(tag)))]
    return "\n".join([*lines, ""]).encode()


def _record(files: Mapping[str, bytes], own: str) -> bytes:
    lines = StringIO()
    rows = csv.writer(lines, lineterminator="\n")
    for path, body in files.items():
        digest = urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
        rows.writerow([path, f"sha256={digest}", len(body)])
    rows.writerow([own, "", ""])
    return lines.getvalue().encode()


def _zip(files: Mapping[str, bytes]) -> bytes:
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        for path, body in files.items():
            archive.writestr(ZipInfo(path, _WHEN), body, ZIP_DEFLATED)
    return packed.getvalue()

"""Makes wheels as backends leave them, good and odd ones, as files."""

import hashlib
import io
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

from packaging.tags import parse_tag

WHEN = (2026, 11, 24, 12, 0, 0)


class _Pipe(io.RawIOBase):
    """What cannot be sought in: zipfile then puts the sizes behind the bytes."""

    def __init__(self):
        self.content = bytearray()

    def writable(self):
        return True

    def write(self, block):
        self.content += block
        return len(block)


def write_wheel(
    folder: Path, tag="py3-none-any", members: Mapping[str, bytes] | None = None, *, is_plain=True, build=""
) -> Path:
    """Write tiny 1.0 with these members; unless plain, with sizes behind the bytes."""
    info = "tiny-1.0.dist-info"
    tags = "".join(f"Tag: {each}\n" for each in sorted(map(str, parse_tag(tag))))
    content = {
        "tiny/__init__.py": b"answer = 42\n",
        **(members or {}),
        f"{info}/METADATA": b"Metadata-Version: 2.4\nName: tiny\nVersion: 1.0\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\n{tags}\n".encode(),
    }
    record = "".join(f'"{path}",sha256={_digest(body)},{len(body)}\n' for path, body in content.items())
    content[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    target = io.BytesIO() if is_plain else _Pipe()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, body in content.items():
            member = zipfile.ZipInfo(path, WHEN)
            member.external_attr = 0o100755 << 16
            archive.writestr(member, body, zipfile.ZIP_DEFLATED)
    wheel = folder / f"tiny-1.0-{build}{tag}.whl"
    wheel.write_bytes(target.getvalue() if isinstance(target, io.BytesIO) else bytes(target.content))
    return wheel


def _digest(body: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()

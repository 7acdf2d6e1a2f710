"""Makes tiny sdists with a build backend of their own, which need nothing from any index."""

import io
import tarfile

# The backend makes a wheel with the standard library alone.  BEFORE runs first and can do what it likes;
# what it puts into `members` gets into the wheel.
_BACKEND = """
import base64, hashlib, os, sys, sysconfig, zipfile
from pathlib import Path

NAME, VERSION = "{name}", "{version}"

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    members = {{f"{{NAME}}.py": b"answer = 42\\n"}}
    tag = "py3-none-any"
    native = "cp%d%d-cp%d%d-" % (sys.version_info[:2] * 2) + sysconfig.get_platform().replace("-", "_")
    out = Path("/out") if Path("/out").is_dir() else Path(os.environ["HOME"]).parent / "out"
{before}
    info = f"{{NAME}}-{{VERSION}}.dist-info"
    metadata = f"Metadata-Version: 2.1\\nName: {{NAME}}\\nVersion: {{VERSION}}\\n"
    members[f"{{info}}/METADATA"] = metadata.encode()
    members[f"{{info}}/WHEEL"] = f"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: {{tag}}\\n".encode()
    record = ""
    for path, content in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record += f"{{path}},sha256={{digest}},{{len(content)}}\\n"
    members[f"{{info}}/RECORD"] = (record + f"{{info}}/RECORD,,\\n").encode()
    filename = f"{{NAME}}-{{VERSION}}-{{tag}}.whl"
    with zipfile.ZipFile(Path(wheel_directory, filename), "w") as wheel:
        for path, content in members.items():
            wheel.writestr(path, content)
    return filename
"""

_PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'

# Compiles a library that needs libc, and names the wheel for this Python and platform.
COMPILE = """
import subprocess
Path("tiny.c").write_text('#include <stdlib.h>\\nint twice(const char *s) { return 2 * atoi(s); }')
subprocess.run(["gcc", "-shared", "-fPIC", "-o", "tiny.so", "tiny.c"], check=True)
members["_tiny.so"] = Path("tiny.so").read_bytes()
tag = native
"""


def make_sdist(before: str = "", *, name: str = "tiny", version: str = "1.0", pyproject: str = "") -> bytes:
    """Return an sdist whose backend runs `before` first, with more in its pyproject.toml."""
    indented = "".join(f"    {line}\n" for line in before.strip().splitlines())
    files = {
        "pyproject.toml": _PYPROJECT + pyproject,
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "backend.py": _BACKEND.format(name=name, version=version, before=indented),
    }
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for path, text in files.items():
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return archive.getvalue()

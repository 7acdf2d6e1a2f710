"""What a finished wheel costs its builder: looking at it, naming it anew, and the search for apt packages.

The wheel has 20 MB of this machine's own shared libraries and a tag that must be put right.  Wall time, and
processor time, outside a sandbox, with the start of the program that looks at it.
"""

import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from pathlib import Path

from benchmarks.figures import Figure, processor_s, show
from builder.inspection import Facts, read_facts
from builder.libraries import apt_packages

SIZE = 20_000_000
TIMES = 5


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="piwheels-bench-") as name:
        root = Path(name)
        wheel, count = make_wheel(root)
        looks, searches, is_right = [], [], True
        used = processor_s()
        for number in range(TIMES):
            folder = root / str(number)
            folder.mkdir()
            began = time.perf_counter()
            facts = inspect(wheel, folder)
            looked = time.perf_counter()
            needs = apt_packages(facts.libraries, facts.asked, architecture())
            looks.append(looked - began)
            searches.append(time.perf_counter() - looked)
            has_libc = any(package.startswith("libc6 ") for package in needs.apt)
            is_right = is_right and facts.filename != wheel.name and has_libc
            (folder / facts.filename).unlink()
        used = (processor_s() - used) / TIMES
        look, searched = statistics.median(looks), statistics.median(searches)
        show(
            Figure("size of the wheel", wheel.stat().st_size / 1e6, "MB"),
            Figure("shared libraries in it", count, "files"),
            Figure("inspection, and the wheel under another tag", look, "s"),
            Figure("search for apt packages", searched, "s"),
            Figure("both", look + searched, "s", "under 1 s"),
            Figure("processor time of both", used, "s"),
        )
        return 0 if is_right else 1


def make_wheel(folder: Path) -> tuple[Path, int]:
    """Write a wheel of libraries until it is large enough; return it and how many they are."""
    info, libraries = "bench-1.0.dist-info", Path("/usr/lib", str(sysconfig.get_config_var("MULTIARCH")))
    machine = sysconfig.get_platform().replace("-", "_").replace("linux_", "manylinux_2_99_")
    path = folder / f"bench-1.0-py3-none-{machine}.whl"
    count = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        tag = path.stem.split("-", 2)[2]
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.4\nName: bench\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", f"{info}/WHEEL,,\n{info}/RECORD,,\n")
        for library in sorted(libraries.glob("*.so.*")):
            if path.stat().st_size > SIZE:
                break
            if not library.is_symlink() and 500_000 < library.stat().st_size < 10_000_000:
                archive.write(library, f"bench.libs/{library.name}")
                count += 1
    return path, count


def inspect(wheel: Path, folder: Path) -> Facts:
    """Inspect as a builder does, in a process of its own."""
    abi = f"cp{sys.version_info.major}{sys.version_info.minor}"
    platform = sysconfig.get_platform().replace("-", "_")
    options = ["--architecture", architecture(), "--abi", abi, "--platform", platform]
    subprocess.run([sys.executable, "-m", "builder.inspection", *options, wheel, folder], check=True)
    return read_facts(folder)


def architecture() -> str:
    """Return Debian's name for this machine."""
    return subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()

"""`make test-builder`: the builder's tests where Django is not installed, as on a Pi."""

import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Install the builder's extra alone, see that it brings no Django, and run its tests there."""
    with tempfile.TemporaryDirectory(prefix="piwheels-builder-") as scratch:
        folder = Path(scratch)
        python = install(folder)
        listed = subprocess.run(
            [python, "-m", "pip", "list", "--format", "freeze"], capture_output=True, text=True, check=True
        ).stdout
        if "django" in listed.lower():
            print("The builder's extra brings Django:", listed, sep="\n", file=sys.stderr)
            return 1
        print(f"The builder's extra brings {len(listed.splitlines())} packages, and no Django.", flush=True)
        where = [python, "-P", "-c", "import builder; print(*builder.__path__)"]
        installed = Path(subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip())
        # Beside what was installed, so that it is tested and not the sources, which may have more.
        for name in ("tests", "pytest.ini"):
            shutil.move(folder / "source" / "builder" / name, installed / name)
        shutil.rmtree(folder / "source")
        tests = installed / "tests"
        return subprocess.run([python, "-P", "-m", "pytest", str(tests)], cwd=folder, check=False).returncode


def install(folder: Path) -> str:
    """Install the builder from a copy of its sources, which setuptools may write into."""
    ignored = shutil.ignore_patterns(".*", "var", "__pycache__", "*.egg-info", "build")
    shutil.copytree(ROOT, folder / "source", ignore=ignored)
    venv.create(folder / "environment", with_pip=True)
    python = str(folder / "environment" / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, f"{folder / 'source'}[builder]", "pytest"], check=True)
    return python


if __name__ == "__main__":
    sys.exit(main())

"""`make play`: a farm full of made-up packages and builds, to look at every page; gone when it ends.

The web server alone, on a scratch folder with an embedded database: nothing is followed and nothing built.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from honcho.manager import Manager

from deploy.farm import MANAGE, ROOT, CannotStart, check_port, wait_for, web
from deploy.scratch import ELSEWHERE


def settings(var: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a scratch farm: nothing in it leads to one that somebody uses."""
    kept = {name: value for name, value in environ.items() if name not in ELSEWHERE}
    return {**kept, "PIWHEELS_VAR": str(var), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def prepare(env: Mapping[str, str], arguments: list[str]) -> None:
    """Migrate, and fill the farm; the arguments are those of `manage.py play`."""
    for words in (["migrate", "--verbosity", "0"], ["play", *arguments]):
        if subprocess.run([*MANAGE, *words], env=env, cwd=ROOT, check=False).returncode:
            raise CannotStart("The sample could not be made; what is above says why.")


def run(var: Path, port: int, arguments: list[str]) -> int:
    """Run the sample until it is told to end; return the exit status."""
    check_port(port)
    env = {"WEB_CONCURRENCY": "1", "LOG_LEVEL": "WARNING", **settings(var, os.environ)}
    prepare(env, arguments)
    manager = Manager()
    for name, words in {"web": web(port), "live": [*MANAGE, "play", "--live", *arguments]}.items():
        manager.add_process(name, f"exec {shlex.join(words)}", env=env, cwd=str(ROOT))
    # A closed terminal ends it as Ctrl-C does.
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    threading.Thread(target=_welcome, args=(f"http://127.0.0.1:{port}",), daemon=True).start()
    manager.loop()
    return int(manager.returncode or 0)


def _welcome(address: str) -> None:
    """Print where the sample is, once it answers."""
    wait_for(f"{address}/")
    print(f"\n  A farm that never was is at {address}/\n  End it:  Ctrl-C\n", flush=True)


def main() -> int:
    """Run the sample in a scratch folder."""
    var = Path(tempfile.mkdtemp(prefix="piwheels-play-"))
    try:
        return run(var, int(os.environ.get("PORT", "8000")), sys.argv[1:])
    except CannotStart as problem:
        print(problem, file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(var, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

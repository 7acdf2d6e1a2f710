"""How gunicorn runs the site: `gunicorn piwheels_site.wsgi --config deploy/gunicorn.py`.

The number of processes follows from the machine, unless WEB_CONCURRENCY says it: one for each core, as that
is what a process keeps busy at the most, but no more than fit into a quarter of the memory, and 8 at most,
as each holds a connection to the database for each of its threads, and PostgreSQL has 100 as it comes.  A
Raspberry Pi 4 of 1 GB gets 2, of 2 GB and more 4.  What is not set here is as gunicorn has it.

Where systemd watches (WatchdogSec), each process asks its own threads for something now and then, and ends
when none takes it up.  gunicorn itself notices a process that hangs, and not one whose threads all do.
"""

import faulthandler
import os
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from gunicorn.systemd import sd_notify

# Of a process that has answered everything (`python -m benchmarks index` prints the web tier's memory).
_PROCESS_BYTES = 100 << 20
_MOST_PROCESSES = 8


def processes(cores: int, memory_bytes: int) -> int:
    """Return how many processes a machine gets."""
    return max(1, min(cores, memory_bytes // 4 // _PROCESS_BYTES, _MOST_PROCESSES))


def _memory_bytes() -> int:
    """Return how much memory this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


workers = int(os.environ.get("WEB_CONCURRENCY") or processes(len(os.sched_getaffinity(0)), _memory_bytes()))
# Threads, as a request waits for the disk and the database.
worker_class = "gthread"
threads = 8
# A wheel of a gigabyte is read through before its builder is answered.
timeout = 120
# Builders speak every few seconds; a connection that is closed under their hands costs them a second try.
keepalive = 75
# Who says at length what it accepts is told what there is, and not that it says too much.
limit_request_field_size = 16380
# Signs of life are written all the time; they do not belong on an SD card.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn makes an own file there
loglevel = "warning"
# What gunicorn itself has to say, as the site does: see LOG_FORMAT in docs/operating.md.
if os.environ.get("LOG_FORMAT") == "json":
    _stderr = {"level": "WARNING", "handlers": ["stderr"]}
    logconfig_dict = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "builder.log_lines.JsonFormatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "loggers": {"gunicorn.error": {**_stderr, "propagate": False}},
        "root": _stderr,
    }


def _watch(worker: Any, patience_s: float) -> None:  # Any: gunicorn has no types
    """End this process when none of its threads is free for so long; until then tell systemd that it lives.

    One that hangs is not seen from outside: the others answer at the same socket.
    """
    while True:
        try:
            worker.tpool.submit(int).result(patience_s)
        except TimeoutError:
            faulthandler.dump_traceback()
            # gunicorn starts another in its place.
            os._exit(1)
        except (RuntimeError, CancelledError):
            # It was told to end, and takes up nothing more.
            return
        sd_notify("WATCHDOG=1", worker.log)
        time.sleep(patience_s / 4)


def on_starting(_: object) -> None:
    """Have PostgreSQL end what a request asks after a minute, when nginx has given up on all but builders.

    It is libpq that reads this; where an operator has said something else, that is what holds.
    """
    os.environ.setdefault("PGOPTIONS", "-c statement_timeout=60s")


def post_worker_init(worker: Any) -> None:  # Any: gunicorn has no types
    """Have a new process watched, if anybody watches."""
    if limit_us := os.environ.get("WATCHDOG_USEC"):
        # By the time that systemd would end all of them, the ones that hang have ended.
        patience_s = int(limit_us) / 1e6 / 2
        threading.Thread(target=_watch, args=(worker, patience_s), daemon=True).start()

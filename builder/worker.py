"""The Pi's Celery app and its single task; `python -m builder` starts it.

A message is a doorbell: two numbers that say which build to ask for.  One that is lost, doubled or forged
costs a claim at most.  SIGTERM lets a running build end before the worker does (it takes no other); a second
one, or SIGKILL, ends build and worker at once, and the server gives the build to somebody else.
"""

import logging
import os
import reprlib
import signal
from datetime import datetime
from threading import Event, Thread
from typing import TextIO

from celery import Celery
from celery.signals import setup_logging, worker_ready, worker_shutting_down
from kombu import Exchange, Queue

from builder import preflight, watchdog
from builder.build import build as carry_out
from builder.client import Client, LostClaim, Refused, Unreachable
from builder.contract import BUILD_TASK, BuildOrder, queue_for
from builder.log_lines import JsonFormatter, about
from builder.place import workshop
from builder.presence import Presence
from builder.problems import EARLIEST
from builder.sandbox import Level
from builder.settings import Settings, current

logger = logging.getLogger(__name__)

# The exit status after an operator's stop: the unit does not start the builder again after this one.
STOPPED = 3
# The exit status of a worker that was told to end a second time, or that hangs in a build.
_ENDED_HARD = 4
# What an order may take beyond the time limit of its build.  The server waits for its report for two hours of
# these at the most, and each step has a limit of its own: whoever is at it for longer hangs.
_BEYOND_S = 3 * 3600.0
# Until the next hello after one that failed, in seconds.
_AFTER_FAULT_S = 15.0


class WrongClock(Exception):
    """The system's clock cannot be right; wait for its synchronisation."""


def configuration(settings: Settings) -> dict[str, object]:
    """Return Celery's settings for one builder; reference: a worker that needs nothing but BRPOP."""
    queue = queue_for(settings.builder)
    return {
        "broker_url": settings.orders_url,
        "broker_transport_options": {
            # Kombu's bookkeeping of unacknowledged messages would need rights to write, trusts clocks, and
            # gives a build that takes longer than an hour to a second builder.
            "ack_emulation": False,
            "priority_steps": [0],
            "client_name": f"b-{settings.builder}",
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 25,
        },
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        # no_declare: to declare a queue is to write to Redis.
        "task_queues": [Queue(queue, Exchange("", type="direct"), routing_key=queue, no_declare=True)],
        "task_default_queue": queue,
        "task_default_exchange": "",
        "task_create_missing_queues": False,
        "task_ignore_result": True,
        "result_backend": None,
        "accept_content": ["json"],
        "task_serializer": "json",
        "worker_log_format": "%(levelname)s %(message)s",
        "task_acks_late": False,
        "task_reject_on_worker_lost": False,
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        # One process and one build at a time; the build itself runs in processes of its own.
        "worker_pool": "threads",
        "worker_concurrency": 1,
        # No order is taken from the queue while a build runs.
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,
    }


# Of this app alone: neither the current app of a process nor the home of other apps' tasks.
app = Celery("builder", set_as_current=False)
app.add_defaults(lambda: configuration(current()))


def arguments(settings: Settings) -> list[str]:
    """Return the arguments with which Celery starts the worker."""
    return [
        "--quiet",
        "worker",
        f"--hostname=b-{settings.builder}@%h",
        f"--queues={queue_for(settings.builder)}",
        "--pool=threads",
        "--concurrency=1",
        "--loglevel=INFO",
        # Each of these talks to other workers through Redis, which a builder may not.
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    ]


def check_clock(now: datetime) -> None:
    """Raise WrongClock at a time that cannot be."""
    if now < EARLIEST:
        raise WrongClock(f"The clock says {now:%Y-%m-%d}: wait until it is synchronised (timedatectl).")


# Of this process: signals and tasks come to it from Celery, which hands nothing on.
presence = Presence(lambda folder: preflight.find(folder, Level(current().sandbox_at_most)))


@app.task(name=BUILD_TASK, shared=False)
def build(build: int, attempt: int) -> None:
    """Take a ring."""
    take(build, attempt, current(), presence)


def take(build: object, attempt: object, settings: Settings, presence: Presence) -> None:
    """Claim the build that a message names and carry it out; drop what is no such message."""
    # bool is a subclass of int, and a forged message holds whatever JSON can.
    if type(build) is not int or type(attempt) is not int or build < 1 or attempt < 1:
        logger.warning(
            "Dropped a message for build %s attempt %s.", reprlib.repr(build), reprlib.repr(attempt)
        )
        return
    if problems := presence.facts(workshop(settings)).problems:
        logger.warning("Build %s attempt %s is not taken: %s", build, attempt, " ".join(problems))
        # The server puts the build back into its queue as soon as it knows.
        presence.news.set()
        return
    with Client(settings) as client:
        try:
            order = client.claim(build, attempt)
        except LostClaim as lost:
            logger.info("Build %s attempt %s is not ours: %s", build, attempt, lost)
            return
        except (Unreachable, Refused) as fault:
            logger.error("Build %s attempt %s cannot be claimed: %s", build, attempt, fault)
            return
        follow(order, client, settings, presence)


def follow(order: BuildOrder, client: Client, settings: Settings, presence: Presence) -> None:
    """Carry out an order, and what the server has for us after it, as long as we are well."""
    folder = workshop(settings)
    next_order: BuildOrder | None = order
    while next_order:
        order = next_order
        at_work = presence.at(order.build, order.time_limit_s + _BEYOND_S)
        with about(build=order.build, attempt=order.attempt), at_work:
            logger.info("Build %s: %s %s for %s.", order.build, order.package, order.version, order.target)
            next_order = carry_out(
                order, client, settings, presence.sandbox(folder), lambda: not presence.facts(folder).problems
            )


def log_as_json(settings: Settings, out: TextIO) -> None:
    """Have this process write JSON, each line with the builder's name."""
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonFormatter(builder=settings.builder))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    # Whoever connects to this signal has set the log up, so Celery does not.
    setup_logging.connect(_leave_the_log, weak=False)


def _leave_the_log(**_: object) -> None:
    """Leave the log as it is."""


@worker_ready.connect
def start_hellos(**_: object) -> None:
    """Say hello from now on, also while a build runs."""
    Thread(target=say_hello, args=(current(), presence, Event()), name="hello", daemon=True).start()


@worker_shutting_down.connect
def end(sig: str, **_: object) -> None:
    """Let the server know that this worker ends; end it hard when it is told so a second time."""
    if presence.is_ending and sig == "SIGTERM":
        # The kernel tells the build's warden that we are gone, and it kills all of the build.
        os._exit(_ENDED_HARD)
    presence.end()


def say_hello(settings: Settings, presence: Presence, ended: Event) -> None:
    """Say hello as often as the server wants, and at once when there is news, until it is ended."""
    said = ""
    with Client(settings) as client:
        while not ended.is_set():
            presence.news.clear()
            if presence.is_stuck:
                # Its thread may hang where nothing reaches it.  The build's warden sees us go, as above.
                logger.critical("The build hangs past every limit: this builder ends, to be started anew.")
                os._exit(_ENDED_HARD)
            watchdog.live()
            try:
                pause, problem = _hello(client, settings, presence)
            except Exception:
                # Without its hellos a builder gets no work, so nothing may end this loop.
                logger.exception("A hello failed.")
                pause, problem = _AFTER_FAULT_S, None
            if problem is not None and problem != said:
                logger.warning("%s", f"The server gives no builds: {problem}" if problem else "All is well.")
                said = problem
            presence.news.wait(pause)


def _hello(client: Client, settings: Settings, presence: Presence) -> tuple[float, str | None]:
    """Say hello once; return the seconds until the next, and why the server gives no builds, if it said."""
    try:
        welcome = client.hello(presence.facts(workshop(settings)))
    except Refused as refused:
        if refused.status == 401:
            logger.error("The server does not know this builder's token: %s", refused)
        else:
            logger.error("The server wants nothing of this builder: %s", refused)
        return _AFTER_FAULT_S, None
    except Unreachable as fault:
        logger.warning("%s", fault)
        return _AFTER_FAULT_S, None
    if welcome.stop and presence.is_idle and not presence.is_ending:
        logger.warning("An operator has stopped this builder: it ends.")
        presence.was_stopped = True
        os.kill(os.getpid(), signal.SIGTERM)
    return min(max(welcome.heartbeat_s, 1.0), 60.0), welcome.problem

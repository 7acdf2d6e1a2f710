"""An order becomes a report: fetch the source, build it, look at what came out, hand it over.

What is wrong with a package is reported and final.  What is wrong with the builder (a full disk, no network)
is an exception and never a report: the server misses the heartbeats and has another builder try.
"""

import logging
from threading import Event

from builder.client import Client, DeadTicket, Refused, Unreachable
from builder.collect import BadOutput, Wheel, collect
from builder.contract import CONTRACT, BuildOrder, BuildReport, WheelReport
from builder.heartbeat import Heartbeats
from builder.inspection import Unfit, system_inside
from builder.libraries import apt_packages
from builder.log import Log
from builder.pip_wheel import PipFailed, pip_wheel
from builder.place import Place, fresh, workshop
from builder.settings import Settings
from builder.source import BadSource, SourceUnreachable, fetch

logger = logging.getLogger(__name__)


def build(order: BuildOrder, client: Client, settings: Settings) -> None:
    """Carry out an order and report; do nothing more once the server has called it off."""
    folder = workshop(settings)
    with Log(folder) as log, Client(settings) as voice, fresh(folder, order) as place:
        heartbeats = Heartbeats(order, log, voice)
        try:
            with heartbeats:
                report = _make(order, place, client, settings=settings, log=log, stop=heartbeats.dead)
            log.end()
            heartbeats.send_rest()
            verdict = client.report(order, report)
        except DeadTicket as death:
            logger.warning("Build %s attempt %s is over: %s", order.build, order.attempt, death)
        except (SourceUnreachable, Unreachable, Refused) as fault:
            logger.error("Build %s attempt %s is given up: %s", order.build, order.attempt, fault)
        else:
            logger.info("Build %s has %s. %s", order.build, verdict.state, verdict.reason)


def _make(
    order: BuildOrder, place: Place, client: Client, *, settings: Settings, log: Log, stop: Event
) -> BuildReport:
    """Go through the steps and return how they ended."""
    try:
        log.note(f"fetching {order.url}")
        source = fetch(order, place.source, stop)
        duration_s = pip_wheel(order, source, place, settings=settings, log=log, stop=stop)
    except BadSource as error:
        return _failed(str(error), log)
    except PipFailed as error:
        return _failed(str(error), log, error.duration_s)
    try:
        with collect(place.out) as wheels:
            reports = tuple(_hand_over(order, wheel, client, log=log) for wheel in wheels)
    except BadOutput as error:
        return _failed(str(error), log, duration_s)
    except Refused as error:
        return _failed(f"The server refused the wheel: {error}", log, duration_s)
    return BuildReport(contract=CONTRACT, succeeded=True, reason="", duration_s=duration_s, wheels=reports)


def _hand_over(order: BuildOrder, wheel: Wheel, client: Client, *, log: Log) -> WheelReport:
    """Look at a wheel, upload it and return what there is to say about it."""
    try:
        system = system_inside(wheel.file)
    except Unfit as error:
        raise BadOutput(f"{wheel.filename}: {error}") from error
    needs = apt_packages(system.libraries, system.asked, order.architecture)
    log.note(f"{wheel.filename}: {wheel.size} bytes, needs {', '.join(needs.apt) or 'no apt packages'}")
    client.upload(order, wheel.filename, wheel.file, size=wheel.size, sha256=wheel.sha256)
    return WheelReport(
        filename=wheel.filename,
        size=wheel.size,
        sha256=wheel.sha256,
        apt=needs.apt,
        unresolved=needs.unresolved,
    )


def _failed(reason: str, log: Log, duration_s: float = 0.0) -> BuildReport:
    """Return the report of a build that did not succeed, and say so in its log."""
    log.note(reason)
    return BuildReport(contract=CONTRACT, succeeded=False, reason=reason, duration_s=duration_s, wheels=())

"""From a builder's report to a closed build."""

from datetime import datetime

from builder.contract import MAX_WHEELS, BadMessage, BuildReport, Verdict
from builds import incoming, logs
from builds.models import Build, Refusal
from builds.publish import Ended, Refused, publish


def close(build: Build, report: BuildReport, now: datetime) -> Verdict:
    """Close a build as its report and the files themselves say; return what became of it.

    Raises Ended when the build is no longer running: its report comes too late.
    """
    verdict = _close(build, report, now)
    # Not before the build is closed: after a fault of ours the builder reports again, with the same files.
    logs.keep(build.pk)
    incoming.discard(build.pk)
    return verdict


def _close(build: Build, report: BuildReport, now: datetime) -> Verdict:
    """Publish what a build brought, or say why not."""
    if report.duration_s < 0:
        raise BadMessage("BuildReport.duration_s must not be negative.")
    if not report.succeeded:
        return _fail(build, report.reason or "The builder gave no reason.", report, now)
    if not 1 <= len(report.wheels) <= MAX_WHEELS:
        return _fail(build, f"It left {len(report.wheels)} wheels; one was expected.", report, now)
    try:
        publish(build, report, now)
    except Refused as refused:
        Refusal.objects.create(
            build=build,
            filename=refused.wheel.filename[:300],
            sha256=refused.wheel.sha256[:64],
            reason=refused.reason,
            at=now,
        )
        return _fail(build, f"The wheel was refused: {refused}", report, now)
    return Verdict(state=Build.State.SUCCEEDED, reason="")


def _fail(build: Build, reason: str, report: BuildReport, now: datetime) -> Verdict:
    """Close a build as failed."""
    if not build.close(Build.State.FAILED, logs.clean(reason)[:2000], now, report.duration_s):
        raise Ended
    build.version.package.mark_changed()
    return Verdict(state=Build.State.FAILED, reason=reason)

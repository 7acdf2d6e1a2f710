"""From a builder's report to a closed build."""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from django.db import transaction

from builder.contract import MAX_WHEELS, BuildReport, Verdict
from builds import failures, way
from builds.attached import Attached
from builds.files import incoming, logs
from builds.log_text import clean
from builds.models import Build, Refusal
from builds.outcome import outcome_of
from builds.planning import retry
from builds.publish import Ended, NameTaken, Refused, publish

Follow = Callable[[Build], None]


def close(
    build: Build, report: BuildReport, came: Attached, now: datetime, *, last: Follow | None = None
) -> Verdict:
    """Close a build as its report and the files themselves say; return what became of it.

    `last` is done after all that follows a failure by itself, in its transaction.  Raises Ended when the
    build is no longer running: its report comes too late.
    """
    logs.end(build.pk, came.log_offset, came.log)
    verdict = _close(build, report, came, now, last)
    way.say(f"Reported, and {verdict.state}. {verdict.reason}".strip(), build)
    # Not before the build is closed: after a fault of ours the builder reports again, with the same files.
    logs.keep(build.pk)
    incoming.discard(build.pk)
    return verdict


def _close(build: Build, report: BuildReport, came: Attached, now: datetime, last: Follow | None) -> Verdict:
    """Publish what a build brought, or say why not."""
    outcome_of(report)
    if not report.succeeded:
        reason = report.reason or "The builder gave no reason."
        return _fail(build, reason, report, now, told=report.failure, last=last)
    if not 1 <= len(report.wheels) <= MAX_WHEELS:
        told = "bad-output" if report.wheels else "no-wheel"
        reason = f"It left {len(report.wheels)} wheels; one was expected."
        return _fail(build, reason, report, now, told=told, last=last)
    try:
        publish(build, report, came, now)
    except NameTaken as taken:
        # Nobody's fault, and nothing for a person to look at.
        reason = f"The wheel came too late: {taken}"
        return _fail(build, reason, report, now, told="name-taken", follow=retry.after_race, last=last)
    except Refused as refused:
        note = partial(_note_refusal, refused=refused, now=now)
        reason = f"The wheel was refused: {refused}"
        return _fail(build, reason, report, now, told="refused", follow=note, last=last)
    return Verdict(state=Build.State.SUCCEEDED, reason=build.reason)


def _note_refusal(build: Build, refused: Refused, now: datetime) -> None:
    """Have an operator see a file that was refused."""
    Refusal.objects.create(
        build=build,
        filename=refused.wheel.filename[:300],
        sha256=refused.wheel.sha256[:64],
        reason=refused.reason,
        at=now,
    )
    retry.after_failure(build, now)


def _fail(
    build: Build,
    reason: str,
    report: BuildReport,
    now: datetime,
    *,
    told: str,
    follow: Follow | None = None,
    last: Follow | None = None,
) -> Verdict:
    """Close a build as failed, of what its log shows, and let follow what follows by itself."""
    log, _ = logs.tail(build, failures.END + failures.MORE)
    found = failures.classify(log, told)
    with transaction.atomic():
        build.version.package.hold()
        if not build.close(
            Build.State.FAILED,
            clean(reason)[:2000],
            now,
            report.duration_s,
            failure=found.failure.key,
            failure_about=found.about,
            **outcome_of(report),
        ):
            raise Ended
        if follow:
            follow(build)
        else:
            retry.after_failure(build, now)
        if last:
            last(build)
        build.version.package.mark_changed()
    return Verdict(state=Build.State.FAILED, reason=reason)

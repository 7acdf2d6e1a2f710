"""What the page of one build tells."""

from dataclasses import dataclass
from datetime import datetime

from builds import failures
from builds.files import logs, stored
from builds.log_pages import live, page
from builds.log_pages.lines import Lines
from builds.models import Build, Dependency, Wheel
from builds.planning.wishes import upstream_wheels
from builds.shown import position, relatives, timeline
from builds.shown.remarks import remarks_on, why_not_offered
from builds.wheels.yanks import Yank, yanks
from packages.models import UpstreamFile

# How the last phase of a log ended, by the state of its build.
_OUTCOMES = {Build.State.SUCCEEDED: "done", Build.State.FAILED: "failed"}


@dataclass(frozen=True)
class Came:
    """A wheel that came out of a build, and what it needs."""

    wheel: Wheel
    remarks: list[str]
    apt: list[str]  # beyond what the target's image has
    others: list[Dependency]  # what is no package of Debian's
    why_not: str  # why pip may not have it; "": it may
    yank: Yank | None

    @property
    def is_offered(self) -> bool:
        """Whether installers take it."""
        return not self.why_not and self.yank is None


def told(build: Build, now: datetime) -> dict[str, object]:
    """Return what a build's rows tell: how it went, why it failed, what is around it."""
    failure = failures.of(build.failure, build.failure_about)
    release = build.target.os_release
    return {
        "steps": timeline.steps(build, now),
        "refusals": build.refusals.all(),
        "relatives": relatives.of(build),
        "failure": failure,
        "suggestion": failure.suggestion(release) if failure else "",
        "apt": failure.apt(release) if failure else "",
        "progress": _progress(build, now),
        "standing": position.of(build, now).said() if build.state == Build.State.QUEUED else [],
    }


def _progress(build: Build, now: datetime) -> float | None:
    """Return for how many seconds a build has been going on, if it is known how many it may take."""
    if not (build.is_open and build.claimed_at and build.expected_s):
        return None
    return max(0.0, (now - build.claimed_at).total_seconds())


def came(build: Build) -> list[Came]:
    """Return the wheels that came out of a build, each with what it needs and whether pip takes it."""
    wheels = list(build.wheels.select_related("package", "version").prefetch_related("dependencies"))
    theirs = upstream_wheels(UpstreamFile.objects.filter(version=build.version_id)) if wheels else {}
    yanked = yanks(wheels, theirs)
    return [
        Came(
            wheel,
            remarks_on(wheel),
            build.target.lacks(need.name for need in needs if need.tool == Dependency.Tool.APT),
            [need for need in needs if need.tool != Dependency.Tool.APT],
            why_not_offered(wheel),
            yanked.get(wheel.pk),
        )
        for wheel in wheels
        for needs in [list(wheel.dependencies.all())]
    ]


def log_of(build: Build, word: str, first: str) -> dict[str, object]:
    """Return what the page shows of the log: where a word is, what begins at a line, or what matters most."""
    lines = Lines(logs.content(build.pk))
    outcome = "going on" if build.is_open else _OUTCOMES.get(Build.State(build.state), "")
    marked = page.reason(lines, build.failure_about) if outcome == "failed" else 0
    asked = {
        "word": word[: page.WORD],
        "line_count": lines.count,
        "reason": marked,
        "archived": f"/{stored.log_name(build.pk)}",
        "error": page.last_words(lines) if build.failure == "unknown" else "",
    }
    if word.strip():
        return {**asked, "found": page.search(lines, word)}
    if first.isascii() and first.isdecimal() and len(first) < 10:
        return {**asked, "window": page.window(lines, int(first), outcome, marked)}
    if build.is_open:
        return {**asked, "is_live": True, "live": live.since(build.pk, 0, 1, 0)}
    return {**asked, "overview": page.overview(lines, outcome, marked)}

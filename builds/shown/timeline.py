"""How a build went through its states, as far as its row knows: what began when, and how long it took."""

from dataclasses import dataclass, replace
from datetime import datetime

from builds.models import Build

_ENDINGS = {
    Build.State.SUCCEEDED: "Checked and published",
    Build.State.FAILED: "Failed",
    Build.State.CANCELLED: "Cancelled",
    Build.State.LOST: "Given up, as its builder fell silent",
}


@dataclass(frozen=True)
class Step:
    """One state: when it began, and how long it lasted or has lasted by now."""

    title: str
    at: datetime | None = None
    lasted_s: float | None = None
    is_now: bool = False
    state: str = ""  # of the build, for the sign

    @property
    def is_to_come(self) -> bool:
        """Whether it has not begun."""
        return self.at is None and not self.is_now


def steps(build: Build, now: datetime) -> list[Step]:
    """Return the states of a build in their order; of one that goes on, also those to come."""
    begun = [("Queued", build.queued_at)]
    if build.builder and build.rang_at:
        begun.append((f"Given to {build.builder}", build.rang_at))
    if build.claimed_at:
        begun.append((f"Building on {build.builder}", build.claimed_at))
    ends = [*(at for _, at in begun[1:]), build.finished_at or now]
    found = [
        Step(title, at, max(0.0, (end - at).total_seconds()))
        for (title, at), end in zip(begun, ends, strict=True)
    ]
    if build.finished_at:
        ending = _ENDINGS[Build.State(build.state)]
        return [*found, Step(ending, build.finished_at, state=build.state)]
    if build.state == Build.State.UPLOADING:
        # When the first bytes of a wheel came is not noted, only that they did.
        found.append(Step("Uploading"))
    found[-1] = replace(found[-1], is_now=True)
    return [*found, *(Step(title) for title in _to_come(build))]


def _to_come(build: Build) -> list[str]:
    """Return what has still to happen to an open build."""
    states = list(Build.OPEN)
    following = ["Given to a builder", "Building", "Uploading", "Checked and published"]
    return following[states.index(Build.State(build.state)) :]

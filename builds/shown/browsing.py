"""Builds by what somebody wants to see of them."""

from builds.models import Build, BuildQuerySet, Target

# What a list tells of a build; a page of them need not read columns of text.
_TOLD = (
    *("attempt", "state", "failure", "failure_about", "queued_at", "finished_at", "duration_s"),
    *("version__number", "version__package__name", "target__key"),
)


def builds(target: Target | None, state: str | None, failure: str) -> BuildQuerySet:
    """Return the builds that all of these fit, as far as they are given, with what a list tells of each."""
    found = Build.objects.select_related("version__package", "target").only(*_TOLD)
    if target:
        found = found.filter(target=target)
    if state:
        found = found.filter(state=state)
    return found.filter(failure=failure) if failure else found

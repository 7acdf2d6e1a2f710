"""How pages say times, durations, numbers and states, to the eye and to everyone."""

from datetime import UTC, datetime

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.html import format_html
from django.utils.safestring import SafeString

from builds import failures
from builds.models import Build

register = template.Library()

# A sign for the eye, a word for everyone.
STATES = {
    Build.State.QUEUED: ("…", "waiting"),
    Build.State.DISPATCHED: ("…", "waiting for its builder"),
    Build.State.BUILDING: ("⚙", "building"),
    Build.State.UPLOADING: ("⚙", "uploading"),
    Build.State.SUCCEEDED: ("✔", "built"),
    Build.State.FAILED: ("✘", "failed"),
    Build.State.CANCELLED: ("–", "cancelled"),
    Build.State.LOST: ("✘", "lost with its builder"),
}
# From the largest; what is not worth a unit's whole number is said in the next smaller one.
_YEAR_S = 365.25 * 86400
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


@register.filter
def state_word(state: str) -> str:
    """Return the word for the state of a build."""
    return STATES[Build.State(state)][1]


@register.filter
def state_sign(state: str) -> str:
    """Return the sign for the state of a build; for the eye alone."""
    return STATES[Build.State(state)][0]


@register.filter
def failure_title(key: str) -> str:
    """Return what a class of failure is called; of one that is no longer there, that it failed."""
    found = failures.classes().get(key)
    return found.title if found else "Failed"


@register.filter
def ago(moment: datetime | None, now: datetime) -> SafeString:
    """Say how long ago a moment was, or in how long it is, with the moment itself in UTC."""
    if moment is None:
        return SafeString("")
    seconds = (now - moment).total_seconds()
    said = "just now"
    if abs(seconds) >= 1:
        said = f"{rough(abs(seconds))} ago" if seconds > 0 else f"in {rough(abs(seconds))}"
    utc = moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        f"{utc:%Y-%m-%dT%H:%M:%SZ}",
        f"{utc:%Y-%m-%d %H:%M:%S} UTC",
        said,
    )


@register.filter
def day(moment: datetime | None) -> SafeString:
    """Say a day, with the moment itself in UTC."""
    if moment is None:
        return SafeString("")
    utc = moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        f"{utc:%Y-%m-%dT%H:%M:%SZ}",
        f"{utc:%Y-%m-%d %H:%M:%S} UTC",
        f"{utc:%Y-%m-%d}",
    )


@register.filter
def rough(seconds: float) -> str:
    """Say a duration in its largest unit: "3 minutes"."""
    for size, unit in _UNITS:
        if seconds >= size:
            count = round(seconds / size)
            return f"{intcomma(count)} {unit}{'' if count == 1 else 's'}"
    return "less than a second"


@register.filter
def ages(seconds: float) -> str:
    """Say a duration in its largest unit, of which the largest is the year: "3 minutes", "165 years"."""
    years = seconds / _YEAR_S
    if years < 2:
        return rough(seconds)
    return f"{years:.1f} years" if years < 10 else f"{intcomma(round(years))} years"


@register.filter
def lasting(seconds: float | None) -> str:
    """Say a duration as exactly as a person wants it: "2 h 13 min", "41 s", "0.4 s"."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{intcomma(whole // 86400)} d {whole % 86400 // 3600} h"


@register.filter
def counted(number: int | None) -> str:
    """Say a number with its thousands apart."""
    return "" if number is None else str(intcomma(number))

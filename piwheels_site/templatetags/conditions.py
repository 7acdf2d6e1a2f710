"""Signs for what builders do, for the eye alone, and the colours that go with them."""

from django import template

from builds.builders.farm import Condition

register = template.Library()

SIGNS = {
    Condition.BUILDING: "⚙",
    Condition.UPLOADING: "⇧",
    Condition.CALLED: "…",
    Condition.FREE: "✔",
    Condition.UNWELL: "✘",
    Condition.DRAINING: "⇣",
    Condition.DRAINED: "–",
    Condition.PAUSED: "‖",
    Condition.STOPPED: "■",
    Condition.QUARANTINED: "✘",
    Condition.SILENT: "✘",
    Condition.NEW: "?",
    Condition.OFF: "–",
}


@register.filter
def condition_sign(condition: Condition) -> str:
    """Return the sign for what a builder does."""
    return SIGNS[condition]


@register.filter
def condition_tone(condition: Condition) -> str:
    """Return the class of colour for it."""
    if condition.is_alarming:
        return "bad"
    if condition == Condition.FREE:
        return "good"
    return "busy" if condition.is_well else "quiet"

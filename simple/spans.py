"""The spans of time that statistics are of, and the periods that each is made of (no Django)."""

from dataclasses import dataclass
from datetime import date, timedelta

_WEEK = 7
_MONTHS = 12


@dataclass(frozen=True)
class Span:
    """A time that ends today, in periods of which each is known by its first day."""

    key: str
    title: str
    step: str  # "day", "week" or "month"

    def periods(self, today: date) -> list[date]:
        """Return the first day of each period, the oldest first; the last one is not over."""
        if self.step == "month":
            months = [today.year * 12 + today.month - 1 - back for back in range(_MONTHS - 1, -1, -1)]
            return [date(month // 12, month % 12 + 1, 1) for month in months]
        first, length = (90, _WEEK) if self.step == "week" else (29, 1)
        return [today - timedelta(days=back) for back in range(first, -1, -length)]

    def first(self, today: date) -> date:
        """Return its first day."""
        return self.periods(today)[0]

    def period_of(self, day: date, today: date) -> date:
        """Return the first day of the period that a day of the span is in."""
        if self.step == "month":
            return day.replace(day=1)
        if self.step == "week":
            return day - timedelta(days=(day - self.first(today)).days % _WEEK)
        return day

    def said(self, period: date) -> str:
        """Return what a period is called."""
        return f"{period:%Y-%m}" if self.step == "month" else f"{period:%Y-%m-%d}"


# Whole weeks, so that each period has as many Sundays as the others.
SPANS = {
    span.key: span
    for span in (
        Span("30d", "30 days", "day"),
        Span("90d", "13 weeks", "week"),
        Span("12m", "12 months", "month"),
    )
}

"""The page of statistics, and each of its series as CSV and JSON."""

import csv
from collections.abc import Callable
from datetime import date
from typing import Any

from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from packages.clock import database_now
from piwheels_site import stacks
from piwheels_site.charts import bars
from piwheels_site.series import ENDS, SERIES, Table, percent, tables
from simple.spans import SPANS, Span
from simple.summing import SLOWER

# The page is made so often, in seconds, however many people look.
RENDERED_EVERY = 30
USUAL = SPANS["30d"]
# The series that are drawn as shares of all downloads.
SHARES = ("pythons", "systems", "architectures", "installers")
_FILLS = dict(zip(ENDS, ("good", "bad", "lost"), strict=True))
_WORDS = dict(zip(ENDS, ("built", "failed", "lost with a builder"), strict=True))
# Spreadsheets take a cell that begins so for a formula, and run it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")

_Answer = Callable[[Table, Span, date], HttpResponse]


@require_safe
def stats(request: HttpRequest) -> HttpResponse:
    """Show what was downloaded and built, and what that saved."""
    span = SPANS.get(request.GET.get("range", ""), USUAL)
    # Rendered once for all readers; what differs for each is around it.
    body = cache.get_or_set(f"stats-{span.key}", lambda: _body(span), RENDERED_EVERY)
    return render(request, "pages/stats.html", {"body": body})


def _body(span: Span) -> SafeString:
    """Return all of the page but its frame."""
    _, found = tables(span, database_now())
    context = {"span": span, "spans": SPANS.values(), "slower": SLOWER["armv6l"], "tables": found}
    return render_to_string(
        "pages/_stats.html", context | _charts(found, span) | _lists(found) | _numbers(found)
    )


def _charts(found: dict[str, Table], span: Span) -> dict[str, Any]:
    """Return the pictures; what is over time has the periods of the downloads."""
    periods = [str(period) for period, _ in found["downloads"].rows]
    hours = [(str(period), float(round(float(seconds) / 3600))) for period, seconds in found["saved"].rows]
    ended: list[tuple[str, dict[str, int]]] = [
        (str(period), {_WORDS[state]: int(count) for state, count in zip(ENDS, counts, strict=True)})
        for period, *counts in found["builds"].rows
    ]
    fills = {_WORDS[state]: fill for state, fill in _FILLS.items()}
    return {
        "downloads": bars(
            f"Downloads by {span.step}",
            [(str(name), float(count)) for name, count in found["downloads"].rows],
        ),
        "saved": bars(f"Hours saved by {span.step}", hours),
        "builds": stacks.piles(f"How builds ended by {span.step}", ended, fills),
        "shares": [
            (
                found[key],
                stacks.shares(
                    found[key].title,
                    periods,
                    [(str(period), str(name), int(count)) for period, name, count in found[key].rows],
                ),
            )
            for key in SHARES
        ],
    }


def _lists(found: dict[str, Table]) -> dict[str, Any]:
    """Return the rows of each list, with how long its bar is in percent of the longest."""
    return {
        "lists": {
            key: _with_bars(found[key].rows, column)
            for key, column in (("packages", 1), ("failures", 2), ("wheels", 1))
        },
        "of_targets": found["targets"].rows,
        "of_builders": [(*row, percent(row[1], row[1] + row[2])) for row in found["builders"].rows],
    }


def _with_bars(rows: list[tuple[Any, ...]], column: int) -> list[tuple[tuple[Any, ...], float]]:
    most = max((row[column] for row in rows), default=0)
    return [(row, percent(row[column], most)) for row in rows]


def _numbers(found: dict[str, Table]) -> dict[str, Any]:
    """Return the few numbers that the page begins with."""
    built, failed, lost = (sum(row[number] for row in found["builds"].rows) for number in (1, 2, 3))
    totals: dict[str, float] = dict(found["totals"].rows)
    return {
        "downloaded": sum(count for _, count in found["downloads"].rows),
        "saved_s": sum(seconds for _, seconds in found["saved"].rows),
        "saved_in_all_s": totals["seconds saved"],
        "days_in_all": totals["days"],
        "ended": built + failed + lost,
        "success": percent(built, built + failed),
        "wheels": sum(row[1] for row in found["wheels"].rows),
    }


@require_safe
def series_csv(request: HttpRequest, key: str) -> HttpResponse:
    """Give a series as CSV, as it is on the page."""
    return _series(request, key, _as_csv)


@require_safe
def series_json(request: HttpRequest, key: str) -> HttpResponse:
    """Give a series as JSON, as it is on the page."""
    return _series(request, key, _as_json)


def _series(request: HttpRequest, key: str, answer: _Answer) -> HttpResponse:
    if key not in SERIES:
        raise Http404(f"There is no such series. These are: {', '.join(SERIES)}.")
    span = SPANS.get(request.GET.get("range", USUAL.key))
    if span is None:
        said = f"There is no such range. Ask for ?range= one of {', '.join(SPANS)}.\n"
        return HttpResponseBadRequest(said, content_type="text/plain; charset=utf-8")
    today, found = tables(span, database_now())
    response = answer(found[key], span, today)
    response["Access-Control-Allow-Origin"] = "*"
    return response


def _as_json(found: Table, span: Span, today: date) -> HttpResponse:
    return JsonResponse(
        {
            "series": found.key,
            "title": found.title,
            "range": span.key,
            "step": span.step,
            "from": f"{span.first(today)}",
            "to": f"{today}",
            "columns": found.columns,
            "rows": found.records(),
        }
    )


def _as_csv(found: Table, span: Span, today: date) -> HttpResponse:
    name = f"piwheels-{found.key}-{span.key}-{today}.csv"
    response = HttpResponse(
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
    writer = csv.writer(response)
    writer.writerow(found.columns)
    writer.writerows([cell(value) for value in row] for row in found.rows)
    return response


def cell(value: str | float) -> str | float:
    """Return a value as a cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

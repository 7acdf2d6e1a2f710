"""Prints what came out of a soak."""

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from statistics import mean

from benchmarks.figures import Figure, show
from benchmarks.soak.crew import Record
from benchmarks.soak.farm import Sample
from benchmarks.soak.trend import Minute, Trend, share, tenth, trend

# By how much a server may have grown from the second tenth of the time to the last: as in a soak of a day.
GROWTH = 0.1
# So many more files may be open in any case: a connection here and there.
FILES = 10
# With fewer looks at the farm, a tenth of the time says nothing of growth.
ENOUGH = 40
LATENCY_S = 1.0


def progress(sample: Sample, record: Record) -> None:
    """Print a line that says how it goes on."""
    last = sorted(wait_s for _, wait_s in record.waits[-1000:])
    memory = sum(sample.pss.values())
    print(
        f"  {sample.at_s / 60:4.0f} min: {sample.finished:,} builds, servers {memory:.0f} MiB,"
        f" 99 of the last 100 orders within {share(last, 0.99):.2f} s, load {os.getloadavg()[0]:.1f},"
        f" {len(record.again)} requests repeated, {len(record.faults)} faults",
        flush=True,
    )


def tell(
    record: Record, samples: Sequence[Sample], waits: Sequence[Minute], seconds: float, an_hour: int
) -> None:
    """Print all figures but those of the disk and of who measured."""
    _pace(record, seconds, an_hour)
    _waits(record, waits)
    _depths(samples)
    _cpu(samples)
    _stolen(samples)
    _slowed(samples, waits)
    _memory(samples)
    _files(samples)


def _pace(record: Record, seconds: float, an_hour: int) -> None:
    """Print how many builds ended."""
    first = min(record.ended_at, default=0.0)
    by_minute = Counter(int((at - first) // 60) for at in record.ended_at)
    # The last ones may not be whole.
    whole = [by_minute[minute] for minute in range(int(seconds // 60) - 1)]
    # Those that ended late had begun before.
    pace = 3600 * sum(at < first + seconds for at in record.ended_at) / seconds
    show(
        Figure("builds", len(record.ended), ""),
        Figure("builds an hour", pace, "/h", f"{an_hour:,}", pace >= an_hour),
        Figure("in the least of its minutes", min(whole, default=0), ""),
        Figure("in the fullest", max(whole, default=0), ""),
        Figure("requests that had to be repeated", len(record.again), "", "0", not record.again),
    )


def _waits(record: Record, minutes: Sequence[Minute]) -> None:
    """Print how long builders waited for their next orders, and for the answer to a report."""
    waits = sorted(wait_s for _, wait_s in record.waits)
    reports = sorted(record.reports)
    what = "from the end of a build to the next order"
    for name, value in (
        (f"{what}: median", share(waits, 0.5)),
        ("99 of 100", share(waits, 0.99)),
        ("99 of 100 of the worst minute", max((minute.p99 for minute in minutes), default=0.0)),
        ("the worst of all", share(waits, 1.0)),
    ):
        show(Figure(name, value, "s", f"under {LATENCY_S:g} s", value < LATENCY_S))
    late = sum(wait_s >= LATENCY_S for wait_s in waits)
    show(
        Figure(f"orders that took {LATENCY_S:g} s or more", 1000 * late / max(len(waits), 1), "of 1,000"),
        Figure("a report's answer, median", share(reports, 0.5), "s"),
        Figure("99 of 100", share(reports, 0.99), "s"),
    )


def _depths(samples: Sequence[Sample]) -> None:
    """Print what waited where."""
    show(
        Figure("builds in the queue at the beginning", samples[0].queued, ""),
        Figure("at the end", samples[-1].queued, ""),
        Figure("rings that nobody had taken, at the most", max(each.rings for each in samples), ""),
        Figure("the worker's own queue, at the most", max(each.ticks for each in samples), ""),
        Figure("the database at the beginning", samples[0].database_mib, "MiB"),
        Figure("at the end", samples[-1].database_mib, "MiB"),
    )


def _cpu(samples: Sequence[Sample]) -> None:
    """Print what 1,000 builds cost the servers, and whether that grew."""
    first, last = samples[0], samples[-1]
    for name in last.cpu_s:
        show(Figure(f"CPU of {name}", _per_thousand(first, last, name), "s/1,000"))
    show(Figure("CPU of all servers", _per_thousand(first, last, *last.cpu_s), "s/1,000 builds"))
    for which, number in (("second", 2), ("last", 10)) if len(samples) >= ENOUGH else ():
        part = _between(samples, number)
        show(Figure(f"of them in the {which} tenth", _per_thousand(*part, *last.cpu_s), "s/1,000"))


def _stolen(samples: Sequence[Sample]) -> None:
    """Print how much of the cores other machines on this host took, which may be why something was late."""
    parts = [_taken(*pair) for pair in pairwise(samples)]
    show(
        Figure("of the cores, others on this host took", 100 * _taken(samples[0], samples[-1]), "%"),
        Figure("in the worst half minute", 100 * max(parts, default=0.0), "%"),
    )


def _slowed(samples: Sequence[Sample], minutes: Sequence[Minute]) -> None:
    """Print what the same work took in different minutes: cores that others share are not always as fast.

    nginx does the same for each build, however many there were before, so what it takes is a yardstick.
    """
    took = defaultdict(list)
    for first, last in pairwise(samples):
        # In the first minute there is work for builds that end in the next.
        if first.at_s >= 60:
            took[int(first.at_s // 60)].append(_per_thousand(first, last, "nginx"))
    by_minute = {number: mean(some) for number, some in took.items()}
    late = [by_minute[each.number] for each in minutes if each.p99 >= LATENCY_S and each.number in by_minute]
    paces = sorted(by_minute.values())
    if not paces:
        return
    show(
        Figure("CPU of nginx, whose work is the same: in half of the minutes", share(paces, 0.5), "s/1,000"),
        Figure("in the fastest minute", share(paces, 0.0), "s/1,000"),
        Figure("in the slowest", share(paces, 1.0), "s/1,000"),
    )
    if late:
        show(Figure("in those whose orders were late", mean(late), "s/1,000"))


def _taken(first: Sample, last: Sample) -> float:
    """Return which part of the cores was stolen between two looks."""
    cores_s = (os.cpu_count() or 1) * (last.at_s - first.at_s)
    return (last.stolen_s - first.stolen_s) / cores_s if cores_s else 0.0


def _between(samples: Sequence[Sample], number: int) -> tuple[Sample, Sample]:
    """Return the samples at the beginning and at the end of a tenth."""
    part = tenth(len(samples), number)
    return samples[max(part.start - 1, 0)], samples[part.stop - 1]


def _per_thousand(first: Sample, last: Sample, *names: str) -> float:
    """Return what some servers took for 1,000 builds, in seconds."""
    builds = max(last.finished - first.finished, 1)
    return 1000 * sum(last.cpu_s[name] - first.cpu_s.get(name, 0.0) for name in names) / builds


def _memory(samples: Sequence[Sample]) -> None:
    """Print how the memory of each server went on, and of all together.

    What a server's processes made to use together has the size of a setting, and fills as the database grows.
    """
    at_s = [sample.at_s for sample in samples]
    for name in samples[-1].pss:
        own = trend(at_s, [sample.own[name] for sample in samples])
        rss = trend(at_s, [sample.rss[name] for sample in samples])
        show(_grown(f"{name}: own PSS", own, "MiB"), Figure(_course("its RSS", rss), rss.per_hour, "MiB/h"))
        shared = trend(at_s, [sample.shared[name] for sample in samples])
        if shared.last >= 1:
            show(Figure(_course("besides, its shared buffers", shared), shared.per_hour, "MiB/h"))
    show(_grown("all: own PSS", trend(at_s, [sum(sample.own.values()) for sample in samples]), "MiB"))
    if len(samples) < ENOUGH:
        print("  So short a soak says nothing of growth: that of the beginning is what gets loaded.")


def _files(samples: Sequence[Sample]) -> None:
    """Print how many files each server had open."""
    at_s = [sample.at_s for sample in samples]
    for name in samples[-1].files:
        show(
            _grown(f"{name}: open files", trend(at_s, [sample.files[name] for sample in samples]), "", FILES)
        )


def _course(what: str, found: Trend) -> str:
    """Say how much of something there was in the second tenth and in the last."""
    return f"{what} {found.settled:.0f}, at last {found.last:.0f}; growth"


def _grown(what: str, found: Trend, unit: str, slack: float = 0.0) -> Figure:
    """Return the growth of something, and whether that is one."""
    is_met = found.last <= max(found.settled * (1 + GROWTH), found.settled + slack)
    goal = f"at last {GROWTH:.0%} more at most" + (f", or {slack:.0f}" if slack else "")
    return Figure(_course(what, found), found.per_hour, f"{unit}/h", goal, is_met)

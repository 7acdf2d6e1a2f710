"""What stands in the boxes: about the farm, about one builder, and what somebody should look at.

All of it is Rich's Text, which takes what a farm says as it is: no text is ever read as markup.
"""

from collections.abc import Iterable, Sequence

from rich.text import Text

from monitor import drawing
from monitor.alerts import FULL, HOT_C, LOADED, SERVER_HOT_C, SWAPPED, Alert, Level
from monitor.farm import FIGURES, Builder, Farm, Machine, Operators
from monitor.history import SERVER, History, Seen
from monitor.text import duration, size

# Colour is never alone: each has a sign, and the word stands beside it.
STYLES = {Level.WELL: "green", Level.ALERT: "yellow", Level.DEAD: "bold red"}
SIGNS = {Level.WELL: "✔", Level.ALERT: "!", Level.DEAD: "✘"}
_BAR, _LINE = 14, 40
# Of each figure: its name, how it is written, between which limits it is drawn (as the original does), and
# the limit of its alert.
_DRAWN = {
    "load": ("load", "{:6.2f}", 0.0, LOADED, LOADED),
    "temperature_c": ("heat", "{:4.0f}°C", 40.0, 80.0, HOT_C),
    "memory_used": ("memory", "{:6.0%}", 0.0, 1.0, FULL),
    "swap_used": ("swap", "{:6.0%}", 0.0, 1.0, SWAPPED),
    "disk_used": ("disk", "{:6.0%}", 0.0, 1.0, FULL),
}


def cells(seen: Seen, alerts: list[Alert], level: Level) -> list[Text]:
    """Return a builder's row of the list."""
    builder = seen.builder
    if seen.has_left:
        level, doing, word = Level.DEAD, "has left the farm", "LEFT"
    else:
        doing = builder.said
        word = ", ".join(alert.word for alert in alerts)
    if builder.task and not seen.has_left:
        doing = f"{builder.said} {builder.task.package} {builder.task.version}"
    for_s = builder.task.for_s if builder.task else None
    return [
        Text(SIGNS[level], STYLES[level]),
        Text(builder.name),
        Text(builder.target),
        Text(duration(builder.up_s), justify="right"),
        Text(duration(for_s), justify="right"),
        Text(str(builder.per_hour), justify="right"),
        Text(word, STYLES[level]),
        Text(doing),
    ]


def farm_cells(farm: Farm, alerts: list[Alert], level: Level) -> list[Text]:
    """Return the farm's own row, which stands above all builders."""
    well = sum(builder.is_well for builder in farm.builders)
    working = sum(builder.task is not None for builder in farm.builders)
    words = ", ".join(dict.fromkeys(alert.word for alert in alerts))
    return [
        Text(SIGNS[level], STYLES[level]),
        Text("the farm", "bold"),
        Text(f"{well} of {len(farm.builders)} at work"),
        Text(""),
        Text(""),
        Text(str(farm.ended), justify="right"),
        Text(words, STYLES[level]),
        Text(f"{working} building"),
    ]


def about_farm(farm: Farm, history: History) -> Text:
    """Say how the farm is."""
    rate = history.downloads_an_hour()
    said = Text()
    _say(said, "builds/h", f"{farm.ended} ended, {farm.built} of them well")
    if operators := farm.operators:
        downloads = f"{operators.downloads_today:,} today"
        _say(said, "downloads", downloads + (f", {rate:,.0f} an hour" if rate is not None else ""))
        _say_server(said, operators, history)
    else:
        _say(said, "server", "shown to who brings a token (--token-file)")
    most = max((queue.ready for queue in farm.queues), default=0)
    said.append("\n")
    for queue in farm.queues:
        line = f"{queue.ready:>9,} wait {drawing.bar(queue.ready / most if most else 0.0, _BAR)}"
        line += f" {queue.pausing:,} pause, {queue.builders} at work, {queue.per_hour:.1f}/h"
        line += f", empty in {duration(queue.empty_in_s)}" if queue.empty_in_s is not None else ""
        _say(said, queue.target, line, width=22)
    return said


def _say_server(said: Text, operators: Operators, history: History) -> None:
    """Say how the server is."""
    polled = "never" if operators.sync_polled_s is None else f"{duration(operators.sync_polled_s)} ago"
    _say(said, "upstream", f"{operators.sync_lag:,} events behind, read to its end {polled}")
    for disk in operators.disks:
        text = f"{drawing.bar(disk.used, _BAR)} {size(disk.free_bytes)} free of {size(disk.size_bytes)}: "
        _say(said, "disk", text + ", ".join(disk.holds), STYLES[Level.ALERT] if disk.used > FULL else "")
    figures = [figure for figure in FIGURES if figure != "disk_used"]
    _say_machine(said, operators.machine, history, SERVER, figures, SERVER_HOT_C)


def about_builder(builder: Builder, alerts: Sequence[Alert], history: History) -> Text:
    """Say how one builder is."""
    said = Text()
    _say(said, builder.name, f"{builder.said}, for {builder.target}")
    for alert in alerts:
        _say(said, alert.word, alert.said, STYLES[alert.level])
    if builder.reason:
        _say(said, "reason", builder.reason)
    if builder.task:
        task = builder.task
        _say(said, "builds", f"{task.package} {task.version} for {duration(task.for_s)}")
    _say(said, "heard of", "never" if builder.heard_s is None else f"{duration(builder.heard_s)} ago")
    clock_s = builder.clock_ahead_s
    _say(said, "clock", "-" if clock_s is None else f"{clock_s:+.1f} s")
    for name, value in builder.facts:
        if value:
            _say(said, name, value)
    _say_machine(said, builder.machine, history, builder.name, FIGURES, HOT_C)
    return said


def _say_machine(
    said: Text, machine: Machine, history: History, name: str, figures: Iterable[str], hot_c: float
) -> None:
    """Draw the figures of a machine that it has."""
    for figure in figures:
        title, form, least, most, limit = _DRAWN[figure]
        value: float | None = getattr(machine, figure)
        if value is None:
            continue
        if figure == "load":
            most = limit = max(limit, machine.processors)
        limit = hot_c if figure == "temperature_c" else limit
        drawn = drawing.line(history.figures(name, figure), _LINE, least, most)
        over = f"  over {form.format(limit).strip()}" if value > limit else ""
        style = STYLES[Level.ALERT] if over else ""
        _say(said, title, f"{form.format(value)} {drawn}{over}", style)


def list_of(alerts: Sequence[tuple[str, Alert]]) -> Text:
    """List what somebody should look at: whose it is, and what."""
    said = Text()
    for name, alert in alerts:
        said.append(f"{SIGNS[alert.level]} ", STYLES[alert.level])
        said.append(f"{name}: ", "bold")
        said.append(f"{alert.word}: ", STYLES[alert.level])
        said.append(f"{alert.said}\n")
    return said if alerts else Text("✔ Nothing needs a look.", STYLES[Level.WELL])


def _say(said: Text, name: str, value: str, style: str = "", width: int = 11) -> None:
    """Add a line."""
    said.append(f"{name:<{width}} ", "bold")
    said.append(f"{value}\n", style)

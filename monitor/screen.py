"""The screen: a list of builders below the farm, boxes about the chosen one, and deeds that ask first."""

import time
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.timer import Timer
from textual.widgets import DataTable, Footer, Static

from monitor import boxes
from monitor.alerts import UNANSWERED_S, Alert, Level, of_builder, of_farm, of_silence, worst
from monitor.asking import Confirm, Help, Menu
from monitor.client import Client, NoAnswer
from monitor.deeds import DEEDS, Deed, of_all
from monitor.farm import Builder, Farm
from monitor.history import History
from monitor.text import clean, duration, many

_COLUMNS = (" ", "Name", "Target", "Up", "Task", "/h", "Alert", "Doing")
# The key of the farm's own row, which no builder's name can be.
_FARM = "/"
# After a failure the pause doubles, up to this, in seconds.
_LONGEST_PAUSE_S = 60.0


class Told(Message):
    """What a thread found out, for the screen's own thread to do."""

    def __init__(self, do: Callable[[], None]) -> None:
        super().__init__()
        self.do = do


class Monitor(App[int]):
    """The monitor of one farm."""

    CSS_PATH = "screen.tcss"
    TITLE = "piwheels"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "move(1)", show=False),
        Binding("k", "move(-1)", show=False),
        Binding("escape", "focus('builders')", show=False),
        *[Binding(deed.key, f"do('{deed.name}')", deed.label) for deed in DEEDS],
        Binding("a", "alerts", "Alerts"),
        Binding("h", "help", "Help"),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(self, client: Client, *, address: str, every_s: float) -> None:
        super().__init__()
        self._client, self._address, self._every_s = client, clean(address), every_s
        self._history = History()
        self._farm: Farm | None = None
        self._answered_at = time.monotonic()
        self._failures = 0
        self._problem = ""
        self._next_at = 0.0
        self._next: Timer | None = None
        # By name, as a dialog is a screen in which they are not found.
        self._head, self._facts, self._alerts = Static(id="head"), Static(), Static()
        self._table: DataTable[Text] = DataTable(cursor_type="row", id="builders")
        self._needs = VerticalScroll(self._alerts, id="needs")
        self._needs.border_title = "Needs a look"

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        about = VerticalScroll(self._facts, id="about")
        about.border_title = "About"
        yield self._head
        yield self._table
        yield Horizontal(about, self._needs, id="below")
        yield Footer()

    def on_mount(self) -> None:
        """Begin to look."""
        for name in _COLUMNS:
            self._table.add_column(name, key=name)
        self._table.add_row(*[Text("")] * len(_COLUMNS), key=_FARM)
        self._table.focus()
        self.set_interval(1.0, self._draw)
        self._look()

    def _look(self) -> None:
        """Ask the farm, beside the screen."""
        self._beside(self._ask)

    def _beside(self, what: Callable[[], None]) -> None:
        """Do something in a thread of its own, for which nobody waits who ends the monitor."""
        Thread(target=what, daemon=True).start()

    def _ask(self) -> None:
        """Ask, in a thread of its own."""
        try:
            farm = self._client.look()
        except NoAnswer as problem:
            said, wait_s = str(problem), problem.wait_s
            self._tell(lambda: self._miss(said, wait_s))
        except Exception as error:
            # Whatever a farm answers, the screen stays.
            kind = type(error).__name__
            self._tell(lambda: self._miss(f"The monitor does not understand the answer ({kind})."))
        else:
            self._tell(lambda: self._take(farm))

    def _tell(self, do: Callable[[], None]) -> None:
        """Have the screen's own thread do something, if there still is a screen."""
        with suppress(RuntimeError):
            # It says that the screen has ended meanwhile.
            self.post_message(Told(do))

    def on_told(self, told: Told) -> None:
        """Do it."""
        told.do()

    def _take(self, farm: Farm) -> None:
        """Show what came."""
        self._farm, self._answered_at = farm, time.monotonic()
        self._failures, self._problem = 0, ""
        self._history.take(farm, self._answered_at)
        self._look_in(self._every_s)
        self._draw()

    def _miss(self, problem: str, wait_s: float | None = None) -> None:
        """Say why nothing came, and when it is tried again."""
        self._failures += 1
        self._problem = problem
        doubled_s: float = min(self._every_s * 2 ** min(self._failures, 8), _LONGEST_PAUSE_S)
        self._look_in(doubled_s if wait_s is None else max(wait_s, self._every_s))
        self._draw()

    def _look_in(self, pause_s: float) -> None:
        if self._next is not None:
            self._next.stop()
        self._next_at = time.monotonic() + pause_s
        self._next = self.set_timer(pause_s, self._look)

    def _draw(self) -> None:
        """Draw all anew."""
        now = time.monotonic()
        alerts = of_silence(now - self._answered_at)
        self._head.update(self._say_head(now))
        if self._farm is None:
            return
        alerts += of_farm(self._farm, self._history.downloads_in_last_hour())
        seen = self._history.builders(now)
        of_each = {each.builder.name: [] if each.has_left else of_builder(each.builder) for each in seen}
        rows = {_FARM: boxes.farm_cells(self._farm, alerts, worst(alerts))}
        for each in seen:
            own = of_each[each.builder.name]
            rows[each.builder.name] = boxes.cells(each, own, worst(own))
        self._put(rows)
        named = [("the farm", alert) for alert in alerts]
        named += [(name, alert) for name, some in of_each.items() for alert in some]
        self._alerts.update(boxes.list_of(sorted(named, key=lambda each: -each[1].level)))
        self._facts.update(self._say_facts(of_each))

    def _say_head(self, now: float) -> Text:
        """Say whose farm this is, who looks, and whether it answers."""
        said = Text(f" {self._address}  ", "bold")
        operators = self._farm.operators if self._farm else None
        if operators:
            role = "may act" if operators.may_act else "may look"
            said.append(f"as {operators.user}, who {role}  ")
        elif self._farm and self._farm.refused:
            said.append("with a token that is refused: to look at alone  ", boxes.STYLES[Level.ALERT])
        elif not self._client.has_token:
            said.append("without a token: to look at alone  ")
        if not self._problem and now - self._answered_at < UNANSWERED_S:
            state = "asking" if self._farm is None else f"answered {duration(now - self._answered_at)} ago"
            return said.append(f"{boxes.SIGNS[Level.WELL]} {state}", boxes.STYLES[Level.WELL])
        again = duration(max(self._next_at - now, 0.0))
        silence = duration(now - self._answered_at)
        style = boxes.STYLES[Level.DEAD]
        said.append(f"{boxes.SIGNS[Level.DEAD]} no answer for {silence}, again in {again}", style)
        return said.append(f"\n {self._problem}", style)

    def _put(self, rows: dict[str, list[Text]]) -> None:
        """Make the list's rows these; the chosen one stays chosen."""
        table = self._table
        there = [str(key.value) for key in table.rows]
        if there == list(rows):
            for key, some in rows.items():
                for column, cell in zip(_COLUMNS, some, strict=True):
                    if table.get_cell(key, column) != cell:
                        table.update_cell(key, column, cell, update_width=True)
            return
        chosen = self._chosen_key()
        table.clear()
        for key, some in rows.items():
            table.add_row(*some, key=key)
        table.move_cursor(row=list(rows).index(chosen) if chosen in rows else 0)

    def _chosen_key(self) -> str:
        """Return the key of the chosen row."""
        table = self._table
        keys = list(table.rows)
        return str(keys[table.cursor_row].value) if 0 <= table.cursor_row < len(keys) else _FARM

    def _builder(self, key: str) -> Builder | None:
        """Return the builder of a row, None for the farm or one that has left."""
        builders = self._farm.builders if self._farm else ()
        return next((builder for builder in builders if builder.name == key), None)

    def _say_facts(self, alerts: dict[str, list[Alert]]) -> Text:
        """Say what is known of the chosen one."""
        key = self._chosen_key()
        builder = self._builder(key)
        if builder is not None:
            return boxes.about_builder(builder, alerts[builder.name], self._history)
        if self._farm is None or key != _FARM:
            return Text("It has left the farm.")
        return boxes.about_farm(self._farm, self._history)

    def on_data_table_row_highlighted(self) -> None:
        """Show the one that is chosen now."""
        self._draw()

    def on_data_table_row_selected(self, selected: DataTable.RowSelected) -> None:
        """Offer what may be done to it."""
        # Not to whom the cursor is on when the answer comes: below the menu builders come and go.
        key = str(selected.row_key.value)
        self.push_screen(Menu("all builders" if key == _FARM else key), lambda deed: self._begin(deed, key))

    def action_move(self, by: int) -> None:
        """Choose the next or the last one, as the original's keys do."""
        self._table.move_cursor(row=self._table.cursor_row + by)

    def action_help(self) -> None:
        """Say what each key does."""
        self.push_screen(Help())

    def action_alerts(self) -> None:
        """Go to what needs a look and back, so that it can be scrolled."""
        (self._table if self._needs.has_focus else self._needs).focus()

    def action_do(self, name: str) -> None:
        """Begin a deed."""
        self._begin(next(deed for deed in DEEDS if deed.name == name), self._chosen_key())

    def _begin(self, deed: Deed | None, key: str) -> None:
        """Ask whether it is meant, of the builder of a row or of all; say why it cannot be."""
        if deed is None or self._farm is None:
            return
        operators, builder = self._farm.operators, self._builder(key)
        if operators is None or not operators.may_act:
            without = self._farm.refused or "Give a token (--token-file)."
            why = without if operators is None else "Your role may only look."
            self._say(f"Nothing was done. {why}", "warning")
            return
        if builder is None and key != _FARM:
            self._say(f"Nothing was done: {key} has left the farm.", "warning")
            return
        chosen = [builder] if builder else of_all(deed, self._farm.builders)
        if not chosen or (builder and not deed.changes(builder)):
            self._say(f"{deed.label} would change nothing here.", "warning")
            return
        names = [each.name for each in chosen]

        def answered(reason: str | None) -> None:
            """Do it if somebody said yes: to those that were counted, whoever came meanwhile."""
            if reason is not None:
                self._say(f"{deed.label}: {many(len(names), 'builder')} …", "information")
                self._beside(lambda: self._act(deed, names, reason))

        self.push_screen(Confirm(deed, chosen), answered)

    def _act(self, deed: Deed, names: list[str], reason: str) -> None:
        """Say to the farm what is wanted, in a thread of its own."""
        try:
            said = self._client.act(deed.name, names, reason)
        except NoAnswer as problem:
            why = f"It may not have been done: {problem}"
            self._tell(lambda: self._say(why, "error"))
        else:
            self._tell(lambda: self._say(said, "information"))
        self._ask()

    def _say(self, said: str, severity: str) -> None:
        """Show a line for a while."""
        seen = {"information": "information", "warning": "warning", "error": "error"}[severity]
        self.notify(said, severity=seen, markup=False, timeout=8)  # type: ignore[arg-type]  # one of these

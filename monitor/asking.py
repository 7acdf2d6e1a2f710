"""Asks whether a deed is meant, and why; and the page of help."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from monitor.deeds import DEEDS, Deed, question
from monitor.farm import Builder

# The API takes no longer reason.
_LONGEST = 200


class Confirm(ModalScreen[str | None]):
    """A question with a count; gives the reason, or None if nobody said yes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "no", "No")]

    def __init__(self, deed: Deed, chosen: list[Builder]) -> None:
        super().__init__()
        self._deed, self._chosen = deed, chosen

    def compose(self) -> ComposeResult:
        """Show the question, a line for the reason, and two buttons."""
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Static(Text(question(self._deed, self._chosen), "bold"), id="question")
            yield Static(Text(self._deed.effect))
            yield Input(placeholder="why (may be empty)", max_length=_LONGEST, id="reason")
            with Horizontal():
                yield Button("Yes, do it", variant="error", id="yes")
                yield Button("No", id="no")
            yield Static(Text("Enter: to the button, and once more to do it. Esc: no."), id="hint")

    def on_mount(self) -> None:
        """Begin with the reason."""
        self.query_one(Input).focus()

    def on_input_submitted(self) -> None:
        """Go on to the button, which is to be pressed by itself."""
        self.query_one("#yes").focus()
        self.query_one("#hint", Static).update(Text("Enter once more: do it. Esc: no."))

    def on_button_pressed(self, pressed: Button.Pressed) -> None:
        """Take the answer."""
        self.dismiss(self.query_one(Input).value if pressed.button.id == "yes" else None)

    def action_no(self) -> None:
        """Do nothing."""
        self.dismiss(None)


class Menu(ModalScreen[Deed | None]):
    """What may be done, to choose from."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "no", "Nothing"),
        Binding("j", "down", show=False),
        Binding("k", "up", show=False),
    ]

    def __init__(self, whom: str) -> None:
        super().__init__()
        self._whom = whom

    def compose(self) -> ComposeResult:
        """Show the deeds."""
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Static(Text(f"What is wanted of {self._whom}?", "bold"))
            yield OptionList(*[Option(Text(f"{each.label:7} {each.effect}"), each.name) for each in DEEDS])

    def on_option_list_option_selected(self, chosen: OptionList.OptionSelected) -> None:
        """Take what was chosen."""
        self.dismiss(next(each for each in DEEDS if each.name == chosen.option_id))

    def action_no(self) -> None:
        """Do nothing."""
        self.dismiss(None)

    def action_down(self) -> None:
        """Go on to the next."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """Go back."""
        self.query_one(OptionList).action_cursor_up()


class Help(ModalScreen[None]):
    """What each key does."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,h,enter", "app.pop_screen", "Back")]

    def compose(self) -> ComposeResult:
        """Show it."""
        said = Text("Keys\n\n", "bold")
        keys = [
            ("j k ↑ ↓", "choose the farm, or a builder; below the list stands what is known of it"),
            ("Enter", "choose what is wanted of it"),
            *((deed.key, f"{deed.label}: {deed.effect}") for deed in DEEDS),
            ("a", "all that needs a look, to scroll"),
            ("Tab", "what is known of it, to scroll; once more to what needs a look, Esc: to the list"),
            ("q", "end the monitor; the farm does not notice"),
        ]
        for key, does in keys:
            said.append(f"{key:8}", "bold")
            said.append(f" {does}\n")
        said.append("\nOn the farm's own line a deed is for all builders that it would change, but for")
        said.append(" those that were taken out. Each asks first, and is in the log of who did what.")
        # It has the focus, so that arrows scroll it where the terminal is small.
        with VerticalScroll(classes="dialog"):
            yield Static(said)

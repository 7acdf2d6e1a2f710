import pytest

from monitor import drawing
from monitor.text import clean, duration, size


@pytest.mark.parametrize(
    "bad", ["\x1b", "\x00", "\x07", "\x9b", "\x7f", "\n", "\r", "\u202e", "\u2028", "\ud800", "\u200b"]
)
def test_what_acts_on_a_terminal_is_replaced(bad):
    assert clean(f"a{bad}b") == "a\N{REPLACEMENT CHARACTER}b"


def test_what_one_sees_stays_and_what_is_long_is_cut():
    assert clean("Pi é 漢 [red]") == "Pi é 漢 [red]"
    assert clean("x" * 600) == "x" * 500 + "…"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "-"), (-5, "0s"), (59.9, "59s"), (200, "3:20m"), (7500, "2:05h"), (1e6, "11d"), (1e17, "99999d")],
)
def test_a_duration_is_short(seconds, said):
    assert duration(seconds) == said


@pytest.mark.parametrize(("count", "said"), [(5, "5 B"), (1536, "1.5 KiB"), (3 << 40, "3.0 TiB")])
def test_a_size_is_short(count, said):
    assert size(count) == said


def test_figures_are_drawn_within_their_limits():
    assert drawing.line([0, 50, 100, 999, -9], 6, 0, 100) == " ▁▄██▁"
    assert drawing.bar(0.5, 4) == "██░░"
    assert drawing.bar(None, 2) == "··"
    assert drawing.bar(7.0, 2) == "██"

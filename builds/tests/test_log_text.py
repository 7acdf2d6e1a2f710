import pytest

from builds.log_pages.colours import Colours
from builds.log_text import clean


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("a\r\nb", "a\nb"),
        ("a\rb", "a\ufffdb"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("tab\tkept\n", "tab\tkept\n"),
        ("\x9b31m", "\ufffd31m"),
    ],
)
def test_a_log_is_shown_inert(raw, shown):
    assert clean(raw) == shown


@pytest.mark.parametrize(
    ("raw", "html"),
    [
        ("plain & <b>", "plain &amp; &lt;b&gt;"),
        ("\x1b[31m<b>\x1b[0m end", '<span class="ansi31">&lt;b&gt;</span> end'),
        # As gcc writes it.
        ("\x1b[01;31m\x1b[Kerror: \x1b[m\x1b[Kx", '<span class="ansi1 ansi31">error: </span>x'),
        # Hidden, blinking, in millions of colours.
        ("\x1b[8mhidden", "hidden"),
        ("\x1b[5mblinking", "blinking"),
        ("\x1b[38;2;1;2;3mcolour", "colour"),
        ("\x1b[38;5;196mcolour", "colour"),
        # Links, movements of the cursor, titles of windows.
        ("\x1b]8;;javascript:alert(1)\x07me\x1b]8;;\x07", "8;;javascript:alert(1)\ufffdme8;;\ufffd"),
        ("kept\x1b[1A\x1b[2K\x1b[999Dtoo", "kepttoo"),
        ("\x1b[" + "1;" * 5000 + "1mx", "x"),
        ("\x1b[31m\x00\x1b", '<span class="ansi31">\ufffd\ufffd</span>'),
        ('\x1b[31"onclick="x"m', 'nclick="x"m'),
    ],
)
def test_colours_become_classes_and_nothing_else_becomes_html(raw, html):
    assert str(Colours().html(raw)) == html


def test_a_colour_goes_on_in_the_next_line_until_it_is_reset():
    colours = Colours()

    shown = [str(colours.html(line)) for line in ["\x1b[1;32mone", "two\x1b[0m", "three"]]

    assert shown == [
        '<span class="ansi1 ansi32">one</span>',
        '<span class="ansi1 ansi32">two</span>',
        "three",
    ]


def test_what_is_in_force_does_not_grow_for_ever():
    colours = Colours()

    for number in range(1_000):
        colours.html(f"\x1b[{31 + number % 6}m")

    assert len(str(colours.html("x"))) < 500

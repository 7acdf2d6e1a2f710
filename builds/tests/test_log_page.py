import random
import zlib

import pytest

from builds.log_pages import page as log_page
from builds.log_pages.lines import Lines

LONG = (
    b"[piwheels: fetching http://upstream.test/demo-1.0.tar.gz]\n"
    + b"  Preparing metadata (pyproject.toml): started\n" * 100
    + b"Building wheels for collected packages: demo\n"
    + b"".join(b"gcc -c a%d.c\n" % number for number in range(5000))
    + b"a.c:1:10: fatal error: ffi.h: No such file or directory\ncompilation terminated.\n"
)
HOSTILE = [
    b"\n" * (10 << 20),
    b"x" * (10 << 20),
    b"\x1b[31m" * (2 << 20),
    b"<script>alert(1)</script>\n" * 400_000,
    b"Successfully built x\n[piwheels: unpacking \n" * 200_000,
    random.Random(4).randbytes(5 << 20),
    "".join(random.Random(5).choices("abcdefghijklmnopqrstuvwxyz\n", k=1 << 20)).encode(),
]


def shown(page):
    return [line for section in page.sections for part in section.parts for line in part.lines]


def html(page):
    return "".join(line.html for line in shown(page))


def test_a_short_log_is_shown_as_a_whole():
    page = log_page.overview(Lines(b"one\ntwo\n"), "done")

    assert [line.html for line in shown(page)] == ["one", "two"]
    assert [section.is_open for section in page.sections] == [True]


def test_of_a_long_log_the_phase_that_failed_is_open_with_its_both_ends():
    page = log_page.overview(Lines(LONG), "failed", 5103)
    *before, last = page.sections

    assert [(section.phase.title, section.state, section.is_open) for section in page.sections] == [
        ("Fetching the source", "done", False),
        ("Preparing the metadata", "done", False),
        ("Building the wheel", "failed", True),
    ]
    head, tail = last.parts
    assert [head.lines[0].number, head.lines[-1].number] == [102, 116]
    assert (tail.gap, tail.gap + tail.gap_count) == (117, tail.lines[0].number)
    assert tail.lines[-1].number == 5104
    assert [line.number for line in tail.lines if line.is_marked] == [5103]
    assert [len(part.lines) for part in before[1].parts] == [8, 8]


def test_a_phase_that_was_tried_again_has_failed():
    log = b"Building wheels for collected packages\n"
    log += b"[piwheels: that failed with the tools of rung current; trying older]\nok\n"

    states = [section.state for section in log_page.overview(Lines(log), "done").sections]

    assert states == ["failed", "done"]


def test_a_log_is_read_from_page_to_page_without_a_gap():
    lines, first, numbers = Lines(LONG), 1, []
    while first:
        page = log_page.window(lines, first, "failed")
        numbers += [line.number for line in shown(page)]
        first = page.after

    assert numbers == list(range(1, 5105))


def test_the_page_before_ends_where_this_one_begins():
    before = log_page.window(Lines(LONG), 3000, "failed").before

    assert 2000 < before < 3000
    assert log_page.window(Lines(LONG), before, "failed").after == 3000
    assert log_page.window(Lines(LONG), 1, "failed").before == 0


@pytest.mark.parametrize("first", [0, 999_999_999])
def test_a_line_that_is_not_there_leads_to_the_nearest(first):
    (line,) = shown(log_page.window(Lines(b"one\n"), first, "done"))

    assert line.number == 1


@pytest.mark.parametrize(
    ("about", "line"),
    [("ffi.h", 5103), ("a4999.c", 5102), ("", 5103)],
)
def test_the_line_that_tells_the_reason_is_found(about, line):
    assert log_page.reason(Lines(LONG), about) == line


def test_an_empty_log_has_no_reason():
    assert log_page.reason(Lines(b""), "x") == 0
    assert log_page.overview(Lines(b""), "failed").sections == []


def test_a_word_is_found_with_the_lines_around_it_and_marked():
    found = log_page.search(Lines(b"1\n2\n3\nan <Error>\n5\n6\n7\n"), "<error>")
    (part,) = found.parts

    assert [line.number for line in part.lines] == [2, 3, 4, 5, 6]
    assert [line.number for line in part.lines if line.is_marked] == [4]
    assert part.lines[2].html == "an <mark>&lt;Error&gt;</mark>"


def test_lines_that_are_close_are_shown_once():
    found = log_page.search(Lines(b"hit\n\n\n\nhit\n\n\n\n\n\nhit\n"), "hit")

    assert [[line.number for line in part.lines] for part in found.parts] == [
        [1, 2, 3, 4, 5, 6, 7],
        [9, 10, 11],
    ]


def test_of_many_lines_with_a_word_the_first_are_shown():
    found = log_page.search(Lines(LONG), "gcc")

    assert (found.count, found.is_all) == (log_page.MOST_FOUND, False)
    assert log_page.search(Lines(LONG), "(gcc)").count == 0


@pytest.mark.parametrize("log", HOSTILE, ids=range(len(HOSTILE)))
def test_T40_whatever_a_log_says_its_page_is_light_and_inert(log):
    lines = Lines(log)
    pages = [
        html(log_page.overview(lines, "failed", log_page.reason(lines, ""))),
        html(log_page.window(lines, lines.count // 2, "failed")),
        "".join(line.html for part in log_page.search(lines, "s").parts for line in part.lines),
    ]

    for page in pages:
        assert len(zlib.compress(page.encode())) < 20_000
        assert "<script" not in page
        assert "\x1b" not in page

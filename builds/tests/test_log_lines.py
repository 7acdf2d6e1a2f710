import random
import time

import pytest

from builds.log_pages.lines import LINE, Line, Lines, Room


def numbers_and_texts(lines):
    return [(line.number, line.text) for line in lines]


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (b"", []),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"a\nb", ["a", "b"]),
        (b"\n\n", ["", ""]),
        (b"a\r\nb", ["a", "b"]),
    ],
)
def test_a_log_has_lines_and_the_last_may_have_no_end(content, texts):
    lines = Lines(content)

    assert lines.count == len(texts)
    assert numbers_and_texts(lines.read(1, 9)) == list(enumerate(texts, start=1))
    assert numbers_and_texts(lines.backwards(9, 1)) == list(enumerate(texts, start=1))[::-1]


def test_lines_are_found_by_their_numbers_in_a_log_of_many_blocks():
    draw = random.Random(1)
    texts = ["x" * draw.choice([0, 1, 50, 900]) + str(number) for number in range(1, 3001)]
    lines = Lines("\n".join(texts).encode())

    for first in (1, 2, 999, 1500, 2998):
        expected = [(number, texts[number - 1]) for number in range(first, first + 3)]
        assert numbers_and_texts(lines.read(first, first + 2)) == expected
        assert numbers_and_texts(lines.backwards(first + 2, first)) == expected[::-1]
        assert lines.number_at(lines.start(first)) == first


def test_of_a_long_line_the_beginning_is_read_and_the_rest_is_counted():
    assert list(Lines(b"x" * 5_000_000 + b"\nend").read(1, 2)) == [
        Line(1, "x" * LINE, 5_000_000 - LINE),
        Line(2, "end"),
    ]


def test_bytes_that_are_no_text_are_shown_as_such():
    assert numbers_and_texts(Lines(b"\xff\xfe").read(1, 1)) == [(1, "\ufffd\ufffd")]


def test_a_word_is_found_whatever_its_capitals_once_a_line():
    lines = Lines("An Error and an error\nnone\nERROR\nMüll\n".encode())

    assert lines.find("error", 9) == ([1, 3], False)
    assert lines.find("error", 1) == ([1], True)
    assert lines.find("müll", 9) == ([4], False)
    assert lines.find("(a+)+$", 9) == ([], False)
    assert lines.find("", 9) == ([], False)


@pytest.mark.parametrize("content", [b"\n" * (10 << 20), b"e" * (10 << 20), b"e\n" * (5 << 20)])
def test_a_log_of_ten_megabytes_costs_little_whatever_it_says(content):
    began = time.process_time()
    lines = Lines(content)

    assert len(list(lines.read(lines.count - 99, lines.count))) <= 100
    assert len(list(lines.backwards(lines.count, lines.count - 99))) <= 100
    lines.find("e", 50)
    lines.places(b"e", 50)

    assert time.process_time() - began < 1.5


def test_what_a_page_shows_is_bounded_in_lines_in_characters_and_as_it_is_sent():
    noise = random.Random(2)
    texts = ["".join(noise.choices("abcdefghijklmnop0123456789", k=100)) for _ in range(500)]

    def taken(said, **bounds):
        room = Room(**bounds)
        return sum(room.take(Line(1, text)) for text in said)

    assert taken(["x"] * 500, lines=300) == 300
    assert taken(["x" * 100] * 500, characters=20_000) == 200
    assert 100 < taken(texts, packed=10_000) < 200
    assert taken(["the same again"] * 500, packed=10_000) == 500

import json

import pytest

from packages import listing

PAGE = {
    "meta": {"api-version": "1.4", "_last-serial": 9},
    "projects": [
        {"name": "Demo.Pkg", "_last-serial": 7},
        {"name": "größe"},
        {"name": "other", "_last-serial": "8"},
        {"_last-serial": 3},
        {"name": "last", "_last-serial": 2**64, "more": {"a": ["]", "}"]}},
    ],
    "more": [1, 2],
}
ENTRIES = [("demo-pkg", 7), ("other", None), ("last", None)]


def pieces(content, size):
    return iter([content[start : start + size] for start in range(0, len(content), size)])


@pytest.mark.parametrize("size", [1, 2, 7, 64, 100_000])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_list_is_read_wherever_it_is_cut(size, indent):
    content = json.dumps(PAGE, indent=indent, ensure_ascii=False).encode()

    assert list(listing.read_json(pieces(content, size))) == ENTRIES


def test_an_empty_list_is_one():
    assert list(listing.read_json(iter([b'{"projects": []}']))) == []


@pytest.mark.parametrize("kept", [5, 60, 100, 180])
def test_a_list_that_breaks_off_is_told_as_such(kept):
    content = json.dumps(PAGE).encode()[:kept]

    with pytest.raises(ValueError):
        list(listing.read_json(iter([content])))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"projects": [1]}',
        b'{"projects": ["demo"]}',
        b'{"projects": {"name": "demo"}}',
        b'{"projects": [{"name": "\xff"}]}',
        b'{"projects": [{"name": ' + b"[" * 10**5 + b"]}",
    ],
)
def test_what_is_no_list_is_refused(content):
    with pytest.raises((ValueError, RecursionError)):
        list(listing.read_json(pieces(content, 1 << 16)))


def test_an_entry_may_not_be_larger_than_one_can_be():
    content = b'{"projects": [{"name": "' + b"x" * (1 << 18) + b'"}]}'

    with pytest.raises(ValueError, match="too large"):
        list(listing.read_json(pieces(content, 1 << 14)))


def test_a_long_head_is_not_read_for_ever():
    endless = (b" " * (1 << 16) for _ in range(10**6))

    with pytest.raises(ValueError, match="breaks off"):
        list(listing.read_json(endless))


def test_links_are_read_from_html():
    page = b'<html><body><a href="/simple/a/">A.b</a><a href="/simple/c/">no/name</a></body></html>'

    assert list(listing.read_html(pieces(page, 9), "http://127.0.0.1/", "utf-8")) == [("a-b", None)]

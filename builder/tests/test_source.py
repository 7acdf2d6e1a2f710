import hashlib
import threading
import zlib
from dataclasses import replace

import pytest

from builder import source
from builder.client import DeadTicket
from builder.source import BadSource, SourceUnreachable, fetch
from builder.tests.dripping import PLACES, dripping
from builder.tests.package_index import PackageIndex
from builder.tests.server import make_order

NEVER = threading.Event()


def test_a_source_is_fetched(server, tmp_path):
    path = fetch(server.order("tiny-1.0.tar.gz", b"source"), tmp_path, NEVER)

    assert path == tmp_path / "tiny-1.0.tar.gz"
    assert path.read_bytes() == b"source"
    assert server.asked[0].secret == ""


def test_a_source_with_other_bytes_is_refused(server, tmp_path):
    order = server.order("tiny-1.0.tar.gz", b"source", sha256="1" * 64)
    found = hashlib.sha256(b"source").hexdigest()

    with pytest.raises(BadSource, match=f"The sha256 of tiny-1.0.tar.gz is {found}, ordered was {'1' * 64}"):
        fetch(order, tmp_path, NEVER)


def test_a_server_that_is_behind_is_asked_again(server, tmp_path):
    order = server.order("tiny-1.0.tar.gz", b"source")
    for status in (404, 503, 0):
        server.fail("GET", "sources", status=status)

    assert fetch(order, tmp_path, NEVER, pauses_s=(0, 0, 0)).read_bytes() == b"source"


def test_a_source_that_stays_away_is_given_up(server, tmp_path):
    server.fail("GET", "sources", times=9, status=404)

    with pytest.raises(BadSource, match=r"cannot be fetched: the answer was 404 Not Found\."):
        fetch(server.order("tiny-1.0.tar.gz", b""), tmp_path, NEVER, pauses_s=(0, 0))

    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [0, 408, 425, 429, 500, 503])
def test_a_server_that_stays_away_says_nothing_of_the_source(server, tmp_path, status):
    server.fail("GET", "sources", times=9, status=status)

    with pytest.raises(SourceUnreachable, match="cannot be fetched"):
        fetch(server.order("tiny-1.0.tar.gz", b""), tmp_path, NEVER, pauses_s=(0, 0))

    assert len(server.asked) == 3


@pytest.mark.parametrize("host", ["127.0.0.1:9", "nowhere.invalid"])
def test_a_server_that_cannot_be_found_says_nothing_of_the_source(tmp_path, host):
    with pytest.raises(SourceUnreachable, match="cannot be fetched"):
        fetch(make_order(url=f"http://{host}/tiny-1.0.tar.gz"), tmp_path, NEVER, pauses_s=())


def test_a_source_that_comes_too_slowly_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "_TIME_LIMIT_S", -1.0)

    with pytest.raises(SourceUnreachable, match="takes more than"):
        fetch(server.order("tiny-1.0.tar.gz", b"source"), tmp_path, NEVER, pauses_s=())


@pytest.mark.parametrize(("begin", "drop"), PLACES)
def test_a_source_of_which_a_byte_comes_now_and_then_is_given_up_in_time(tmp_path, monkeypatch, begin, drop):
    monkeypatch.setattr(source, "_TIME_LIMIT_S", 0.3)

    with dripping(begin, drop) as url, pytest.raises(SourceUnreachable, match="takes more than"):
        fetch(make_order(url=f"{url}tiny-1.0.tar.gz"), tmp_path, NEVER, pauses_s=())


@pytest.mark.parametrize(("begin", "drop"), PLACES)
def test_fetching_what_comes_too_slowly_ends_when_the_build_is_called_off(tmp_path, begin, drop):
    called_off = threading.Event()
    threading.Timer(0.3, called_off.set).start()

    with dripping(begin, drop) as url, pytest.raises(DeadTicket):
        fetch(make_order(url=f"{url}tiny-1.0.tar.gz"), tmp_path, called_off, pauses_s=())


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_on_the_way_does_not_keep_a_builder_either(tmp_path, monkeypatch, scheme):
    monkeypatch.setattr(source, "_TIME_LIMIT_S", 0.3)

    with dripping(b"HTTP/1.1 200 OK\r\nX-Endless: ", b"x") as url:
        monkeypatch.setenv(f"{scheme}_proxy", url)
        with pytest.raises(SourceUnreachable, match="takes more than"):
            fetch(make_order(url=f"{scheme}://nowhere.invalid/tiny-1.0.zip"), tmp_path, NEVER, pauses_s=())


def test_a_source_that_was_moved_is_fetched_without_what_the_redirect_says_of_it(server, tmp_path):
    order = server.order("tiny-1.0.tar.gz", b"source")
    moved = f"HTTP/1.1 302 Found\r\nLocation: {order.url}\r\nContent-Length: 99999999\r\n\r\n"

    with dripping(moved.encode(), b"x") as url:
        path = fetch(replace(order, url=f"{url}tiny-1.0.tar.gz"), tmp_path, NEVER, pauses_s=())

    assert path.read_bytes() == b"source"


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/latest/", "file:///etc/passwd", "http://[", "/tiny-1.0.tar.gz"]
)
def test_a_source_is_not_fetched_from_where_no_source_can_be(tmp_path, location):
    with PackageIndex() as index:
        index.locations["/tiny-1.0.tar.gz"] = location

        with pytest.raises(SourceUnreachable, match="cannot be fetched: it redirects"):
            fetch(make_order(url=f"{index.url}/tiny-1.0.tar.gz"), tmp_path, NEVER, pauses_s=())


def test_a_redirect_that_is_no_text_leads_nowhere(tmp_path):
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://x/\xff\r\nContent-Length: 0\r\n\r\n"

    with (
        dripping(moved, b"x") as url,
        pytest.raises(SourceUnreachable, match="it redirects to where nothing"),
    ):
        fetch(make_order(url=f"{url}tiny-1.0.tar.gz"), tmp_path, NEVER, pauses_s=())


def test_T58_a_source_that_is_too_large_is_given_up_at_once(server, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "_LARGEST", 3)

    with pytest.raises(BadSource, match="larger than 3 bytes"):
        fetch(server.order("tiny-1.0.tar.gz", b"source"), tmp_path, NEVER)


def test_an_address_that_is_none_is_given_up_at_once(tmp_path):
    with pytest.raises(BadSource, match="cannot be fetched"):
        fetch(make_order(url="http://*.invalid/tiny-1.0.tar.gz"), tmp_path, NEVER)


def test_a_source_that_is_forbidden_is_given_up_at_once(server, tmp_path):
    server.fail("GET", "sources", status=403)

    with pytest.raises(BadSource, match="403"):
        fetch(server.order("tiny-1.0.tar.gz", b""), tmp_path, NEVER)

    assert len(server.asked) == 1


def test_a_source_is_taken_as_it_is_even_if_its_server_calls_it_encoded(server, tmp_path):
    content = zlib.compress(b"source", wbits=31)
    server.source_headers = {"Content-Encoding": "gzip"}

    assert fetch(server.order("tiny-1.0.tar.gz", content), tmp_path, NEVER).read_bytes() == content


def test_fetching_ends_when_the_build_is_called_off(server, tmp_path):
    called_off = threading.Event()
    called_off.set()

    with pytest.raises(DeadTicket):
        fetch(server.order("tiny-1.0.tar.gz", b"source"), tmp_path, called_off)


@pytest.mark.parametrize("filename", ["../tiny-1.0.tar.gz", "/tmp/tiny-1.0.tar.gz", ".profile", ""])
def test_a_source_goes_nowhere_else(tmp_path, filename):
    with pytest.raises(BadSource, match="not a plain file name"):
        fetch(make_order(filename=filename), tmp_path, NEVER)


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]"])
def test_a_source_is_not_on_the_builders_own_wire(tmp_path, host):
    with pytest.raises(BadSource, match="no source can be there"):
        fetch(make_order(url=f"http://{host}/tiny-1.0.tar.gz"), tmp_path, NEVER)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "/etc/passwd"])
def test_a_source_comes_by_http(tmp_path, url):
    with pytest.raises(BadSource, match="neither https nor http"):
        fetch(make_order(url=url), tmp_path, NEVER)

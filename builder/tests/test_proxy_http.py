import http.client
import os
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest

from builder import proxy_http
from builder.account import Allowance
from builder.proxy import PackageProxy
from builder.tests.asking import QUICK, TINY, ask, connect, listed, send


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET / HTTP/1.1", 403),
        ("GET /0/simple/ HTTP/1.1", 403),
        ("GET /0/simple/tiny HTTP/1.1", 403),
        ("GET /1/simple/tiny/ HTTP/1.1", 403),
        ("GET /-1/simple/tiny/ HTTP/1.1", 403),
        ("GET /0/simple/Tiny/ HTTP/1.1", 403),
        ("GET /0/simple/ti.ny/ HTTP/1.1", 403),
        ("GET /0/simple/tiny-/ HTTP/1.1", 403),
        ("GET /0/simple/../simple/tiny/ HTTP/1.1", 403),
        ("GET /0/simple/%2e%2e/tiny/ HTTP/1.1", 403),
        ("GET /0/simple/tiny/?a=b HTTP/1.1", 403),
        ("GET /0/simple/tiny/#a HTTP/1.1", 403),
        (f"GET /0/simple/{'a' * 2000}/ HTTP/1.1", 403),
        ("GET /0/pypi/tiny/json HTTP/1.1", 403),
        ("GET /pypi HTTP/1.1", 403),
        ("GET http://127.0.0.1:9/0/simple/tiny/ HTTP/1.1", 403),
        ("GET file:///etc/passwd HTTP/1.1", 403),
        ("GET /files/tiny-1.0-py3-none-any.whl HTTP/1.1", 403),
        (f"GET /0/files/tiny/{'0' * 16}/tiny-1.0-py3-none-any.whl HTTP/1.1", 404),
        (f"GET /0/files/tiny/{'0' * 16}/..%2f..%2fetc%2fpasswd HTTP/1.1", 404),
        (f"GET /0/files/nothing/{'0' * 16}/nothing-1.0.zip HTTP/1.1", 404),
        ("POST /0/simple/tiny/ HTTP/1.1", 405),
        ("PUT /0/simple/tiny/ HTTP/1.1", 405),
        ("DELETE /0/simple/tiny/ HTTP/1.1", 405),
        ("CONNECT 127.0.0.1:22 HTTP/1.1", 405),
        ("OPTIONS * HTTP/1.1", 405),
        ("GET\0 / HTTP/1.1", 405),
        ("GET /0/simple/tiny/ HTTP/1.1\r\nContent-Length: 5", 403),
        ("GET /0/simple/tiny/ HTTP/1.1\r\nTransfer-Encoding: chunked", 403),
        ("GET /0/simple/tiny/ HTTP/1.0", 505),
        ("GET /0/simple/tiny/ HTTP/2.0", 505),
        ("GET /0/simple/tiny/ HTTP/1.1 HTTP/1.1", 400),
        ("GET /0/simple/tiny/ nonsense", 400),
        ("\x16\x03\x01", 400),
        (f"GET /{'a' * 20_000} HTTP/1.1", 431),
        (f"GET /0/simple/tiny/ HTTP/1.1\r\nX: {'a' * 20_000}", 431),
        ("GET /0/simple/tiny/ HTTP/1.1\r\n" + "\r\n".join(f"X{i}: a" for i in range(200)), 431),
    ],
)
def test_T31_nothing_but_pages_and_files_can_be_had(index, proxy, request_line, status):
    index.add()

    answer = send(proxy, request_line.encode() + b"\r\n\r\n")

    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"<" not in answer
    assert set(index.paths()) <= {"/simple/tiny/", "/simple/nothing/"}


def test_a_file_has_its_own_name_only(index, proxy):
    index.add()
    address = listed(proxy)[0]["url"]

    assert ask(proxy, address.replace("tiny-1.0", "tiny-2.0"))[0] == 404
    assert ask(proxy, address + ".metadata")[0] == 404
    assert ask(proxy, address + "?a=b")[0] == 403
    assert index.paths() == ["/simple/tiny/"]


def test_heads_are_answered_without_bodies(index, proxy):
    index.add()
    connection = connect(proxy)
    for path in (TINY, listed(proxy)[0]["url"]):
        connection.request("HEAD", path)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
    connection.close()

    assert "/files/tiny-1.0-py3-none-any.whl" not in index.paths()
    assert proxy.fetched == ()


def test_one_connection_brings_many_answers(index, proxy):
    index.add()
    request = b"GET /0/simple/tiny/ HTTP/1.1\r\nHost: a\r\n\r\n"

    assert send(proxy, request * 3).count(b"HTTP/1.1 200 OK") == 3


def test_T31_slow_clients_end_and_others_get_through(index):
    index.add()
    allowance = Allowance(connections=4, head_s=0.3)
    before = threading.active_count()
    with PackageProxy([index.simple], socket=None, allowance=allowance, **QUICK) as proxy:
        address = ("127.0.0.1", urlsplit(proxy.indexes[0]).port)
        slow = [socket.create_connection(address, timeout=10) for _ in range(20)]
        for connection in slow:
            connection.sendall(b"GET /0/simple/tiny/ HTTP/1.1\r\nX: ")
        began = time.monotonic()

        assert listed(proxy)

        assert time.monotonic() - began < 5.0
        # The index of the tests has a thread for each connection of the proxy.
        assert threading.active_count() - before <= 1 + 2 * 4
        assert slow[0].recv(1) == b""
        for connection in slow:
            connection.close()


def test_a_dripping_request_has_a_deadline(index):
    with PackageProxy([index.simple], socket=None, allowance=Allowance(head_s=0.3), **QUICK) as proxy:
        connection = connect(proxy)
        connection.connect()
        # Sooner than a request has to have come where nobody says otherwise.
        until = time.monotonic() + Allowance.head_s - 1
        with pytest.raises(ConnectionError):
            while time.monotonic() < until:
                connection.sock.sendall(b"a")
                time.sleep(0.05)
        connection.close()


def test_leaving_ends_open_connections(index, monkeypatch):
    # An answer that nobody ends goes on for longer than it is waited for here.
    monkeypatch.setattr(proxy_http, "_PATIENCE_S", 60.0)
    allowance = Allowance(body_s=120.0)
    index.add(b"1" * 30_000_000, filename="tiny-1.0.zip")
    with PackageProxy([index.simple], socket=None, allowance=allowance, **QUICK) as proxy:
        connection = connect(proxy)
        connection.request("GET", listed(proxy)[0]["url"])
        answer = connection.getresponse()
        answer.read(1000)
        began = time.monotonic()

    assert time.monotonic() - began < 30
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        answer.read()
    connection.close()


def test_a_socket_of_any_length_is_listened_on(index, tmp_path):
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    path = folder / "index.sock"
    index.add()
    with PackageProxy([index.simple], socket=path, **QUICK) as proxy:
        assert proxy.indexes == ("http://127.0.0.1:3141/0/simple/",)
        assert path.stat().st_mode & 0o777 == 0o666
        descriptor = os.open(folder, os.O_PATH)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"/proc/self/fd/{descriptor}/index.sock")
            connection.sendall(b"GET /0/simple/tiny/ HTTP/1.1\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")
        os.close(descriptor)

    assert not path.exists()

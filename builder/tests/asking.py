"""Asks a package proxy as a build would, and worse."""

import http.client
import json
import socket
from hashlib import sha256
from urllib.parse import urlsplit

from builder.tests.package_index import JSON

QUICK = {"timeout_s": (1.0, 0.5), "pauses_s": (0.01, 0.01)}
TINY = "/0/simple/tiny/"


def digest(content) -> str:
    return sha256(content).hexdigest()


def connect(proxy) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(proxy.indexes[0]).netloc, timeout=10)


def ask(proxy, path, method="GET", **headers):
    """Return status, body and headers of an answer."""
    connection = connect(proxy)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def send(proxy, request: bytes) -> bytes:
    """Return all that comes after a request of exactly these bytes."""
    with socket.create_connection(("127.0.0.1", urlsplit(proxy.indexes[0]).port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        arrived = b""
        try:
            while block := connection.recv(65536):
                arrived += block
        except ConnectionResetError:
            pass
        return arrived


def listed(proxy) -> list[dict]:
    status, body, headers = ask(proxy, TINY)
    assert (status, headers["Content-Type"]) == (200, JSON)
    files: list[dict] = json.loads(body)["files"]
    return files

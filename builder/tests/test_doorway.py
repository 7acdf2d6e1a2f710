import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from builder import doorway
from builder.proxy import PackageProxy
from builder.tests.package_index import PackageIndex, make_wheel

SCRIPT = Path(doorway.__file__)
# Runs the script by its path alone, as a sandbox does, but at another address.
ELSEWHERE = """
import runpy, sys
script, port, *arguments = sys.argv[1:]
sys.exit(runpy.run_path(script)["main"](arguments, ("127.0.0.1", int(port))))
"""


@pytest.fixture
def path(tmp_path):
    """Where the proxy listens."""
    return str(tmp_path / "index.sock")


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture
def door(path):
    """A listener whose connections are led to the proxy."""
    with socket.create_server(("127.0.0.1", 0), backlog=doorway.BACKLOG) as listener:
        threading.Thread(target=doorway.Doorway(listener, path).serve, daemon=True).start()
        yield listener.getsockname()


def run(path, port, *command):
    return subprocess.run(
        [sys.executable, "-I", "-c", ELSEWHERE, SCRIPT, str(port), path, *command],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def listen(path, handle) -> socket.socket:
    """Serve each connection to a unix socket in a thread."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(128)

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return listener


def echo_backwards(connection):
    """Answer only when the client has said all."""
    with connection, suppress(ConnectionError):
        said = read(connection)
        connection.sendall(said[::-1])


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def read(connection) -> bytes:
    said = bytearray()
    while block := connection.recv(65536):
        said += block
    return bytes(said)


@pytest.fixture
def backwards(path):
    listener = listen(path, echo_backwards)
    yield
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.mark.parametrize(
    ("code", "expected"),
    [("exit(0)", 0), ("exit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)],
)
def test_the_commands_end_is_the_doorways(path, port, code, expected):
    assert run(path, port, sys.executable, "-c", code).returncode == expected


def test_a_command_that_cannot_be_started_says_so(path, port):
    ended = run(path, port, "no-such-program")

    assert ended.returncode == 127
    assert ended.stderr == "no-such-program cannot be started: No such file or directory.\n"


def test_a_command_reaches_the_proxy(path, port):
    ask = (
        "import http.client, sys\n"
        "connection = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]))\n"
        "for _ in range(2):\n"
        "    connection.request('GET', '/0/simple/tiny/')\n"
        "    print(connection.getresponse().read().decode())\n"
    )
    with PackageIndex() as index, PackageProxy([index.simple], socket=Path(path)):
        index.add()

        ended = run(path, port, sys.executable, "-c", ask, str(port))

    assert ended.stdout.count("tiny-1.0-py3-none-any.whl") == 4


def test_pip_in_a_network_of_its_own_reaches_the_proxy_and_nothing_else(path, tmp_path):
    sandbox = ["bwrap", "--unshare-net", "--die-with-parent", "--dev-bind", "/", "/"]
    if shutil.which("bwrap") is None or subprocess.run([*sandbox, "true"], check=False).returncode:
        pytest.skip("bubblewrap makes the network")
    with PackageIndex() as index, PackageProxy([index.simple], socket=Path(path)) as proxy:
        index.add()
        pip = [sys.executable, "-m", "pip", "download", "--no-cache-dir", "--retries", "0", "--index-url"]
        inside = [*sandbox, sys.executable, "-I", str(SCRIPT), path]
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}

        first, second = (
            subprocess.run(
                [*inside, *pip, address, "tiny"],
                env=environment,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            for address in (index.simple, *proxy.indexes)
        )

    assert first.returncode == 1
    assert second.returncode == 0, second.stderr
    assert (tmp_path / "tiny-1.0-py3-none-any.whl").read_bytes() == make_wheel()


def test_a_half_closed_connection_still_gets_its_answer(door, backwards):
    sent = os.urandom(3_000_000)
    with socket.create_connection(door, timeout=10) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)

        assert read(client) == sent[::-1]


def test_an_end_that_the_proxy_closed_is_closed(door, path, monkeypatch):
    monkeypatch.setattr(doorway, "_LINGER_S", 0.2)
    with listen(path, lambda connection: connection.close()) as listener:
        clients = [socket.create_connection(door, timeout=10) for _ in range(doorway._CONNECTIONS)]
        assert {client.recv(1) for client in clients} == {b""}
        # These keep their ends open, and take no place from others for it.
        with socket.create_connection(door, timeout=10) as another:
            assert another.recv(1) == b""
        for client in clients:
            client.close()
        listener.shutdown(socket.SHUT_RDWR)


def test_thousands_of_connections_come_and_go(door, backwards):
    before = descriptors()
    for number in range(2000):
        client = socket.create_connection(door, timeout=10)
        if number % 2:
            client.sendall(b"hello")
        # A reset now and then, as from a process that was killed.
        if number % 3 == 0:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()

    with socket.create_connection(door, timeout=10) as client:
        client.sendall(b"abc")
        client.shutdown(socket.SHUT_WR)
        assert read(client) == b"cba"
    for _ in range(100):
        if descriptors() <= before:
            break
        time.sleep(0.05)
    assert descriptors() <= before


def test_more_connections_than_places_wait_their_turn(door, backwards):
    clients = [socket.create_connection(door, timeout=10) for _ in range(2 * doorway._CONNECTIONS)]
    for number, client in enumerate(clients):
        client.sendall(b"%03d" % number)
        client.shutdown(socket.SHUT_WR)

    for number, client in enumerate(clients):
        assert read(client) == (b"%03d" % number)[::-1]
        client.close()


def test_a_client_that_does_not_read_holds_up_nobody(door, path):
    def pour(connection):
        with connection, suppress(ConnectionError):
            connection.sendall(bytes(10_000_000))

    with listen(path, pour) as listener:
        with socket.create_connection(door, timeout=10), socket.create_connection(door, timeout=10) as client:
            assert len(read(client)) == 10_000_000
        listener.shutdown(socket.SHUT_RDWR)


def test_without_a_proxy_connections_end(door):
    with socket.create_connection(door, timeout=10) as client:
        assert client.recv(1) == b""


def test_a_port_that_is_taken_is_named(path, port):
    with socket.create_server(("127.0.0.1", port)):
        ended = run(path, port, "true")

    assert ended.returncode == 125
    assert f"127.0.0.1:{port} cannot be listened on" in ended.stderr

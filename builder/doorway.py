"""Leads from a sandbox to the package proxy, and runs the command that is built inside.

Started as a script, as the first process of a sandbox whose network is empty: it listens where pip looks
for its index, carries each connection to the proxy's unix socket, and ends when the command does.  It needs
nothing but the standard library, as little of it as will do, and must not import from here.  What may be
asked for, the proxy decides.
"""

import os
import selectors
import signal
import socket
import sys
import time
from threading import Thread

# Where pip inside a sandbox finds the package proxy.
ADDRESS = ("127.0.0.1", 3141)
# Clients that wait at the door; one that finds it full tries again after a second.
BACKLOG = 1024

_BLOCK = 64 << 10
# Less than what the proxy holds in its queue, so that no client is sent away.  More wait at the door.
_CONNECTIONS = 64
# How long a client may keep a connection that the proxy has closed.
_LINGER_S = 5.0
# When the process has no file descriptor left, a look at the listener changes nothing.
_PAUSE_S = 0.05
# Python ignores these, and what is ignored stays so in the programs that it starts.
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)


class _Way:
    """One direction of a connection: at most one block on its way from one end to the other."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source = source
        self.sink = sink
        self.has_ended = False
        self.is_shut = False
        self._waiting = b""

    @property
    def reads(self) -> bool:
        """Whether there is room for a block."""
        return not self._waiting and not self.has_ended

    @property
    def writes(self) -> bool:
        """Whether there is a block to pass on."""
        return bool(self._waiting)

    def read(self) -> None:
        """Take a block, or note that there will be none."""
        self._waiting = self.source.recv(_BLOCK)
        self.has_ended = not self._waiting

    def write(self) -> None:
        """Pass on as much as the other end takes now."""
        self._waiting = self._waiting[self.sink.send(self._waiting) :]

    def shut(self) -> None:
        """Tell the other end, once, that nothing more comes."""
        if self.has_ended and not self._waiting and not self.is_shut:
            self.sink.shutdown(socket.SHUT_WR)
            self.is_shut = True


class _Connection:
    """A client's connection and the one to the proxy that belongs to it."""

    def __init__(self, client: socket.socket, proxy: socket.socket) -> None:
        self.ends = (client, proxy)
        self._up = _Way(client, proxy)
        self._down = _Way(proxy, client)
        self._leaves_at: float | None = None

    def serve(self, end: socket.socket, events: int) -> None:
        """Move what can be moved at one end; raises OSError when an end is gone."""
        for way in (self._up, self._down):
            if events & selectors.EVENT_READ and end is way.source and way.reads:
                way.read()
            if events & selectors.EVENT_WRITE and end is way.sink and way.writes:
                way.write()
            way.shut()
        if self._down.is_shut and self._leaves_at is None:
            self._leaves_at = time.monotonic() + _LINGER_S

    def events(self, end: socket.socket) -> int:
        """Return what to wait for at one end."""
        events = 0
        for way in (self._up, self._down):
            if end is way.source and way.reads:
                events |= selectors.EVENT_READ
            if end is way.sink and way.writes:
                events |= selectors.EVENT_WRITE
        return events

    def is_over(self, now: float) -> bool:
        """Tell whether both ways are shut, or the proxy's was long ago."""
        if self._up.is_shut and self._down.is_shut:
            return True
        return self._leaves_at is not None and now > self._leaves_at

    @property
    def is_leaving(self) -> bool:
        """Whether the proxy has closed its end."""
        return self._leaves_at is not None


class Doorway:
    """Carries the connections of one listener to a unix socket, all of them in one thread."""

    def __init__(self, listener: socket.socket, path: str) -> None:
        self._listener = listener
        self._path = path
        self._selector = selectors.DefaultSelector()
        self._connections: set[_Connection] = set()
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)
        self._is_open = True

    def serve(self) -> None:
        """Carry connections for ever."""
        while True:
            is_waiting = any(connection.is_leaving for connection in self._connections)
            for key, events in self._selector.select(_LINGER_S if is_waiting else None):
                if key.data is None:
                    self._accept()
                elif key.data in self._connections:
                    self._serve(key.data, key.fileobj, events)
            now = time.monotonic()
            for connection in [each for each in self._connections if each.is_over(now)]:
                self._close(connection)

    def _accept(self) -> None:
        """Let a client in, if the proxy takes it."""
        try:
            client, _ = self._listener.accept()
        except OSError:
            time.sleep(_PAUSE_S)
            return
        try:
            proxy = socket.socket(socket.AF_UNIX)
        except OSError:
            client.close()
            return
        try:
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            proxy.setblocking(False)
            proxy.connect(self._path)
        except OSError:
            client.close()
            proxy.close()
            return
        connection = _Connection(client, proxy)
        self._connections.add(connection)
        self._watch(connection)
        self._open_or_shut()

    def _serve(self, connection: _Connection, end: object, events: int) -> None:
        """Move what can be moved, and forget a connection that broke."""
        try:
            for each in connection.ends:
                if each is end:
                    connection.serve(each, events)
        except BlockingIOError:
            pass
        except OSError:
            self._close(connection)
            return
        self._watch(connection)

    def _watch(self, connection: _Connection) -> None:
        """Wait for what a connection can use next."""
        known = self._selector.get_map()
        for end in connection.ends:
            events = connection.events(end)
            if events and end in known:
                self._selector.modify(end, events, connection)
            elif events:
                self._selector.register(end, events, connection)
            elif end in known:
                self._selector.unregister(end)

    def _close(self, connection: _Connection) -> None:
        """Close both ends."""
        for end in connection.ends:
            if end in self._selector.get_map():
                self._selector.unregister(end)
            end.close()
        self._connections.discard(connection)
        self._open_or_shut()

    def _open_or_shut(self) -> None:
        """Take clients in only while there is room for them."""
        has_room = len(self._connections) < _CONNECTIONS
        if has_room and not self._is_open:
            self._selector.register(self._listener, selectors.EVENT_READ)
        elif self._is_open and not has_room:
            self._selector.unregister(self._listener)
        self._is_open = has_room


def main(arguments: list[str], address: tuple[str, int] = ADDRESS) -> int:
    """Run the command after the socket's path; return its exit code, 128 + n after signal n."""
    path, command = arguments[0], arguments[1:]
    try:
        listener = socket.create_server(address, backlog=BACKLOG)
    except OSError as error:
        return _complain(125, f"{address[0]}:{address[1]} cannot be listened on: {error.strerror}.")
    with listener:
        Thread(target=Doorway(listener, path).serve, daemon=True).start()
        try:
            process = os.posix_spawnp(command[0], command, os.environ, setsigdef=_IGNORED)
        except OSError as error:
            return _complain(127, f"{command[0]} cannot be started: {error.strerror}.")
        _, status = os.waitpid(process, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _complain(code: int, text: str) -> int:
    """Say what is wrong and return the exit code that shells have for it."""
    sys.stderr.write(f"{text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Packages that speak to somebody: the broker, the API, the machine's services, hosts outside, the proxy."""

import socket
import subprocess
import time

from tests.hostile.backend import SCENE, give_up, hole, knock, listening_ports, must_fail, say
from tests.hostile.package import End, Package

_SAME_NETWORK = "without a sandbox a build has the builder's network"


def knocks_on_doors(folder):
    """Connect to the broker, the API, other services of the machine, on every address that it has."""
    for name, (host, port) in SCENE["doors"].items():
        must_fail(f"{name} at {host}:{port}", lambda address=(host, port): knock(address))
    if others := set(listening_ports()) - {3141}:
        hole(f"the ports {sorted(others)} can be seen")
    host, port = SCENE["datagrams"]
    try:
        knock((host, port), kind=socket.SOCK_DGRAM)
    except OSError as error:
        say(f"refused: {error}")
    give_up()


def knocks_on_local_doors(folder):
    """Connect to sockets that have a path, or a name without one, and to those that every machine has."""
    for address in SCENE["local_doors"]:
        must_fail(address, lambda path=address: knock(path.replace("@", "\0"), family=socket.AF_UNIX))
    for path in ("/run/dbus/system_bus_socket", "/run/docker.sock", "/run/systemd/private", "/dev/log"):
        if SCENE["level"] != "bare":
            must_fail(path, lambda path=path: knock(path, family=socket.AF_UNIX))
    give_up()


def calls_outside(folder):
    """Look up a name, and connect to addresses that no machine here has."""
    if SCENE["level"] == "bare":
        give_up()
    must_fail("a name", lambda: socket.getaddrinfo("example.test", 443))
    # From the blocks for documentation (RFC 5737) and of clouds' metadata.
    for address in (("198.51.100.1", 443), ("169.254.169.254", 80)):
        must_fail(f"{address}", lambda address=address: knock(address))
    must_fail("IPv6", lambda: knock(("2001:db8::1", 443, 0, 0), family=socket.AF_INET6))
    give_up()


def asks_for_addresses(folder):
    """Ask pip to fetch what it requires from addresses of its own choice; this runs only if pip did so."""
    hole("pip went to the addresses")
    give_up()


def abuses_the_proxy(folder):
    """Ask the package proxy for what is no package: the API, the broker, files, other hosts."""
    host, port = SCENE["doors"]["api"]
    requests = [
        f"GET http://{host}:{port}/hostile HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n",
        f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n",
        f"GET //{host}:{port}/hostile HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET /simple/../../hostile HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n",
        f"GET /simple/%2e%2e/%2e%2e/hostile HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n",
        f"GET /simple/@{host}:{port}/hostile/ HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET /0/simple/..%2f..%2f..%2fhostile HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n",
        f"GET /0/simple/@{host}:{port}/hostile/ HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET /0/files/a/b/{host}:{port}/hostile HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /99/simple/tiny/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /simple/a%0d%0aHost:%20y/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /simple/tiny/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n",
        "GET / HTTP/1.1\r\n" + "X: y\r\n" * 20_000 + "\r\n",
        "\0\xff\r\n\r\n" * 100,
        "GET " + "/" * 200_000 + " HTTP/1.1\r\n\r\n",
    ]
    for request in requests:
        try:
            with socket.create_connection(("127.0.0.1", 3141), timeout=2) as caller:
                caller.sendall(request.encode("latin-1"))
                answer = caller.recv(4096)
        except OSError as error:
            say(f"refused: {request[:60]!r}: {error}")
            continue
        say(f"{request[:60]!r}: {answer[:60]!r}")
        if b" 200" in answer[:15] or b"root:" in answer:
            hole(f"the proxy answered {answer[:200]!r}")
    # Connections that say nothing, held while the build goes on.
    kept = []
    try:
        kept += [socket.create_connection(("127.0.0.1", 3141), timeout=1) for _ in range(200)]
    except OSError as error:
        say(f"no more than {len(kept)}: {error}")
    give_up()


def speaks_strange_protocols(folder):
    """Open sockets of families that no build needs and whose kernel code is seldom looked at."""
    for name in ("AF_PACKET", "AF_NETLINK", "AF_ALG", "AF_VSOCK"):
        family = getattr(socket, name)
        kind = socket.SOCK_SEQPACKET if name == "AF_ALG" else socket.SOCK_RAW
        must_fail(name, lambda family=family, kind=kind: socket.socket(family, kind), level="full")
    must_fail("a raw socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
    give_up()


def clones_with_git(folder):
    """Clone a repository, by each way that git knows."""
    host, port = SCENE["doors"]["loopback"]
    for url in (f"https://{host}:{port}/x.git", f"http://{host}:{port}/x.git", f"git://{host}:{port}/x.git"):
        began = time.monotonic()
        done = subprocess.run(["git", "clone", url, "clone"], check=False, stdin=subprocess.DEVNULL)
        if done.returncode == 0 or time.monotonic() - began > 10:
            hole(f"git clone {url} ended with {done.returncode}", level="bare")
    give_up()


_QUIET = End(says="everything was tried")

PACKAGES = {
    "knocks": Package(knocks_on_doors, _QUIET, not_at_bare=_SAME_NETWORK, quick=True),
    "knocks-locally": Package(knocks_on_local_doors, _QUIET, not_at_bare=_SAME_NETWORK),
    "calls-outside": Package(calls_outside, _QUIET, not_at_bare=_SAME_NETWORK, gains_at_bare=False),
    "asks-for-addresses": Package(
        asks_for_addresses,
        End(says="ERROR"),
        requires=("evil @ http://{door}/hostile-1.0.tar.gz",),
        time_limit_s=60,
        not_at_bare=_SAME_NETWORK,
    ),
    "asks-for-repositories": Package(
        asks_for_addresses,
        End(says="ERROR"),
        requires=("evil @ git+http://{door}/hostile.git",),
        time_limit_s=60,
    ),
    "asks-for-files": Package(
        asks_for_addresses,
        End(says="ERROR"),
        requires=("evil @ file:///etc/passwd",),
    ),
    "abuses-proxy": Package(abuses_the_proxy, _QUIET),
    "strange-sockets": Package(speaks_strange_protocols, _QUIET, not_at_bare=_SAME_NETWORK),
    "clones": Package(clones_with_git, _QUIET),
}

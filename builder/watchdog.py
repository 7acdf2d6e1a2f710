"""Tells systemd that this builder lives; one that is silent for WatchdogSec is started anew by it."""

import os
import socket
from contextlib import suppress


def live() -> None:
    """Say so, where systemd listens (sd_notify(3), in which "@" stands for the abstract namespace)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    # That it cannot be told is no reason to end: it has its own.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        systemd.sendall(b"WATCHDOG=1")

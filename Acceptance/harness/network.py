"""Addresses of this machine, free ports, and the question whether anything listens on one."""

from __future__ import annotations

import random
import socket

LOOPBACK = "127.0.0.1"

# Below Linux's range for outgoing connections (32768 to 60999): a port handed out here stays free across a restart.
_PORTS = range(20_000, 32_000)
_taken: set[int] = set()


def free_port() -> int:
    """A port on the loopback address that nothing listens on, never the same one twice in a run."""
    for port in random.sample(_PORTS, len(_PORTS)):
        if port in _taken:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        _taken.add(port)
        return port
    raise RuntimeError("no free port between 20000 and 32000")


def reachable_address() -> str | None:
    """An address of this machine that is not a loopback one; None where it has no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: it asks the kernel which address it would send from.
            probe.connect(("203.0.113.1", 9))
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address


def listens(port: int) -> bool:
    """True when a connection to the port on the loopback address is accepted."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        return probe.connect_ex((LOOPBACK, port)) == 0

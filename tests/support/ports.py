"""Ports for programs that have to be told theirs, and for nobody at all.

A port of the range that the kernel hands out by itself may be another's before the program binds it, or while
the program is being restarted; and who connects to it in vain may be connected to himself. Ports below that
range have neither danger; each worker of a parallel run has a slice of its own.
"""

import os
import random
import socket
from pathlib import Path

_FIRST, _SLICES = 10_000, 16
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_chance = random.SystemRandom()
_given: set[int] = set()


def free_port() -> int:
    """A TCP port that nobody listens on, and that nobody else in this run is given."""
    while True:
        port = _chance.choice(_slice())
        if port not in _given and _is_free(port):
            _given.add(port)
            return port


def free_ports(count: int) -> list[int]:
    """Several of them."""
    return [free_port() for _ in range(count)]


def _slice() -> range:
    end = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32768
    if end - _FIRST < 100 * _SLICES:  # a machine that hands out low ports too
        end = 32768
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return range(_FIRST + worker % _SLICES, end, _SLICES)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True

"""Is a port free, and if not, who has it: the answer people need instead of "address in use"."""

import errno
import socket

import psutil

from cadre_local.errors import CadreError, Exit


def check_free(port: int, flag: str, purpose: str) -> None:
    """Raise `PortTaken` naming the port, its holder if known, and the flag that changes it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise _taken(port, flag, purpose) from error
            raise CadreError(
                "PortRefused",
                f"cannot listen on port {port}: {error.strerror}",
                f"choose another with {flag} PORT",
            ) from error


def _taken(port: int, flag: str, purpose: str) -> CadreError:
    holder = find_holder(port)
    return CadreError(
        "PortTaken",
        f"port {port} ({purpose}) is in use" + (f" by {holder}" if holder else ""),
        f"stop it, or choose another with {flag} PORT",
        Exit.CONFLICT,
    )


def find_holder(port: int) -> str:
    """`name (pid n)` of the process that listens on a loopback port; empty when the system does not say."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return ""
    for connection in connections:
        address = connection.laddr
        if connection.status == psutil.CONN_LISTEN and address and address.port == port and connection.pid:
            try:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.Error:
                return f"pid {connection.pid}"
    return ""


def pick_free() -> int:
    """A port that is free right now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

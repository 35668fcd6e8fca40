"""`python -m cadre_guard.sandbox.launch FD`: builds the agent's cage around itself, then runs the agent.

A process of its own, because namespaces, roots and dropped rights cannot be taken back. Three generations:
this launcher, the first process of the new pid namespace (reaps, and takes all others with it when it dies),
and the agent. Each is killed by the kernel when the one above goes.
"""

import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

from cadre_guard.sandbox import kernel
from cadre_guard.sandbox.filesystem import enter_private_root
from cadre_guard.sandbox.spec import (
    AGENT_BINARY,
    AGENT_UID,
    HOME,
    NAMESPACES,
    WORKDIR,
    LaunchReport,
    LaunchSpec,
)

_MAX_SPEC = 1_000_000


class _Cage:
    """What was achieved so far."""

    def __init__(self, spec: LaunchSpec, channel: socket.socket) -> None:
        self.spec = spec
        self.channel = channel
        self.before = {name: kernel.namespace_id(name) for name in NAMESPACES}
        self.notes: list[str] = []
        self.private_root = False
        self.listeners: list[socket.socket] = []

    def boundary(self) -> dict[str, bool]:
        """Read back from the kernel which namespaces differ from the launcher's first ones."""
        return {name: kernel.namespace_id(name) != self.before[name] for name in NAMESPACES}


def main() -> int:
    """Read the specification from the inherited socket, build, run; exit status is the agent's."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    kernel.die_with_parent(signal.SIGKILL)
    try:
        spec = LaunchSpec.from_line(_read_line(channel))
        return _run(_Cage(spec, channel))
    except (OSError, ValueError, KeyError) as error:
        channel.sendall(LaunchReport(error=f"{type(error).__name__}: {error}").to_line())
        return 70


def _read_line(channel: socket.socket) -> bytes:
    data = bytearray()
    while not data.endswith(b"\n"):
        part = channel.recv(65536)
        if not part or len(data) > _MAX_SPEC:
            raise ValueError("no specification")
        data += part
    return bytes(data)


def _run(cage: _Cage) -> int:
    if cage.spec.isolate:
        _leave_namespaces(cage)
    # leaving the user namespace changed our credentials and so undid the first request
    kernel.die_with_parent(signal.SIGKILL)
    _listen(cage)
    gone_read, gone_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(gone_write)
        os._exit(_guarded(cage, gone_read))
    os.close(gone_read)
    _release(cage)
    return _wait_for(child)


def _leave_namespaces(cage: _Cage) -> None:
    uid, gid = os.getuid(), os.getgid()
    for name in NAMESPACES:
        try:
            kernel.unshare(name)
            if name == "user":
                kernel.map_identity(AGENT_UID, uid, gid)
            if name == "network":
                kernel.loopback_up()
        except OSError as error:
            cage.notes.append(f"{name}: {error.strerror}")


def _listen(cage: _Cage) -> None:
    inside = kernel.namespace_id("network") != cage.before["network"]
    for port in cage.spec.ports:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port if inside else 0))
        listener.listen(128)
        cage.listeners.append(listener)


def _release(cage: _Cage) -> None:
    for listener in cage.listeners:
        listener.close()
    cage.channel.close()
    for descriptor in (0, 1):
        os.close(descriptor)  # the agent alone holds its pipes: their end is the agent's end


def _guarded(cage: _Cage, gone_read: int) -> int:
    try:
        return _first_process(cage, gone_read)
    except Exception as error:  # whatever went wrong must reach the guard; the agent then never starts
        with contextlib.suppress(OSError):
            cage.channel.sendall(LaunchReport(error=f"{type(error).__name__}: {error}").to_line())
        return 70


def _first_process(cage: _Cage, gone_read: int) -> int:
    boundary = cage.boundary()
    if boundary["user"]:
        _forbid_nested_namespaces()
    if boundary["mount"]:
        cage.notes.extend(enter_private_root(cage.spec.argv[0], cage.spec.files))
        cage.private_root = True
    else:
        _write_host_files(cage.spec)
    _forget_inheritance(cage)
    kernel.drop_capabilities()
    kernel.no_new_privileges()
    kernel.die_with_parent(signal.SIGKILL)
    _exit_if_orphan(gone_read)
    report = LaunchReport(boundary=boundary, notes=tuple(cage.notes))
    agent = os.fork()
    if agent == 0:
        _become_agent(cage)
    socket.send_fds(cage.channel, [report.to_line()], [listener.fileno() for listener in cage.listeners])
    _release(cage)
    return _wait_for(agent)


def _forbid_nested_namespaces() -> None:
    # the limit belongs to our own user namespace: it shrinks what the agent can ask of the kernel
    with contextlib.suppress(OSError):
        Path("/proc/sys/user/max_user_namespaces").write_text("0")


def _forget_inheritance(cage: _Cage) -> None:
    kernel.no_core_dump()
    try:
        kernel.leave_keyrings()
    except OSError as error:
        cage.notes.append(f"keyrings: {error.strerror}")


def _write_host_files(spec: LaunchSpec) -> None:
    for name, text in spec.files.items():
        target = Path(spec.home, name)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        target.write_text(text)


def _exit_if_orphan(gone_read: int) -> None:
    os.set_blocking(gone_read, False)
    with contextlib.suppress(BlockingIOError):
        if os.read(gone_read, 1) == b"":
            os._exit(70)


def _become_agent(cage: _Cage) -> None:
    try:
        kernel.die_with_parent(signal.SIGKILL)
        path = AGENT_BINARY if cage.private_root else cage.spec.argv[0]
        home = HOME if cage.private_root else cage.spec.home
        ports = [listener.getsockname()[1] for listener in cage.listeners]
        environment = cage.spec.environment_for(home, ports)
        os.chdir(WORKDIR if cage.private_root else home)
        os.closerange(3, 4096)
        os.execve(path, [path, *cage.spec.argv[1:]], environment)  # noqa: S606 - no shell wanted
    except OSError as error:
        os.write(2, f"cannot start the agent: {error.strerror}\n".encode())
    finally:
        os._exit(71)


def _wait_for(child: int) -> int:
    """Reap until `child` ends (as first process of a pid namespace we inherit every orphan)."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status) & 0xFF


if __name__ == "__main__":
    sys.exit(main())

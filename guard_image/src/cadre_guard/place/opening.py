"""The place that the settings ask for, and in a pod the steps before its agent may start."""

import asyncio
import contextlib
import logging
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from cadre_guard.controller.client import ControllerClient
from cadre_guard.controller.problems import AWAY_ERRORS, AWAY_STATUSES
from cadre_guard.environment import Address
from cadre_guard.errors import ConfigurationError, GuardError
from cadre_guard.place.desktop import Desktop
from cadre_guard.place.egress import require_sealed
from cadre_guard.place.keys import KeyFile
from cadre_guard.place.links import Dialer, ShimDialer, WebSocketDialer
from cadre_guard.place.pod import Pod
from cadre_guard.place.settings import PodSettings
from cadre_guard.settings import Settings

log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.5
_BACKLOG = 128
_MESSAGE_CHARS = 200
_SHIM = "cadre-shim"


@contextlib.asynccontextmanager
async def open_place(settings: Settings) -> AsyncIterator[Desktop | Pod]:
    """The place; raises ConfigurationError when a pod's ports are taken."""
    if settings.pod is None:
        if settings.goose is None:
            raise ConfigurationError("CADRE_GOOSE is not set")
        yield Desktop(settings.goose, settings.state_dir, isolate=settings.isolate)
        return
    with contextlib.ExitStack() as stack:
        model = stack.enter_context(_listener(settings.pod.model, "CADRE_MODEL_LISTEN"))
        tools = stack.enter_context(_listener(settings.pod.tools, "CADRE_TOOL_LISTEN"))
        settings.pod.shared_dir.mkdir(parents=True, exist_ok=True)
        if settings.pod.shim_target is not None:
            _leave_shim(settings.pod.shim_target)
        host, port = model.getsockname()[:2]
        yield Pod(
            dialer=_dialer(settings.pod),
            key_file=KeyFile(settings.pod.shared_dir, f"http://{host}:{port}"),
            model_listener=model,
            tool_listener=tools,
            cwd=settings.pod.home,
            sealed=False,
        )


async def prove_sealed(pod: Pod, settings: PodSettings) -> None:
    """See that nothing but the controller, which answered, can be reached; only then may the agent start.

    Raises EgressOpenError.
    """
    if settings.egress_probes:
        await require_sealed(settings.egress_probes)
    else:
        log.warning("egress is not probed: CADRE_EGRESS_PROBES is empty")
    pod.allow(sealed=bool(settings.egress_probes))


def leave_word(settings: PodSettings, reason: str) -> None:
    """Tell the kubelet, and with it the operator, why we end."""
    with contextlib.suppress(OSError):
        settings.termination_log.write_text(reason[:_MESSAGE_CHARS])


async def first_contact(controller: ControllerClient, closing: asyncio.Event) -> None:
    """Reach the controller as ourselves; raises GuardError when it does not accept us."""
    while not closing.is_set():
        try:
            await controller.identity.bearer()
        except GuardError as error:
            if error.status not in AWAY_STATUSES and error.status != 404:
                raise
            log.warning("no identity yet", extra={"reason": error.reason})
        except (*AWAY_ERRORS, aiohttp.ClientError, OSError) as error:
            log.warning("the controller is away", extra={"error": type(error).__name__})
        else:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(closing.wait(), _RETRY_SECONDS)


def _leave_shim(target: Path) -> None:
    try:
        subprocess.run([_SHIM, "install", str(target)], check=True)
    except (OSError, subprocess.CalledProcessError):
        raise ConfigurationError(f"CADRE_SHIM_TARGET: cannot leave {_SHIM} at {target}") from None


def _dialer(settings: PodSettings) -> Dialer:
    host, port = settings.agent
    if settings.transport == "Stdio":
        return ShimDialer(host, port)
    return WebSocketDialer(host, port, "/health" if settings.transport == "Goose" else "")


def _listener(address: Address, name: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"{name}: cannot listen on {address[0]}:{address[1]}: {error.strerror}"
        ) from None
    listener.setblocking(False)
    return listener

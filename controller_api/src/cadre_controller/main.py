"""The process: settings, two ports, a clean end; what keeps it from starting is one line with the fix."""

import asyncio
import contextlib
import errno
import logging
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvloop
from aiohttp import web

from cadre_controller import logs
from cadre_controller.app import guard_app, public_app
from cadre_controller.errors import CadreError, KeystoreError, MaskingFailed, Unavailable
from cadre_controller.gateways.model.forward import ForwardTimes
from cadre_controller.runtime import Runtime, open_runtime
from cadre_controller.services.masking import DetectMasker
from cadre_controller.settings import Listen, Settings, SettingsError, from_environment
from cadre_controller.tls import TlsFiles

_LOG = logging.getLogger(__name__)
CANNOT_START = 2
_STOP_SECONDS = 10.0
"""How long calls on the public port may take to their end when the process stops."""
_LINGER_SECONDS = 1.0
"""How long the rest of a refused body is swallowed, so that its sender can still read the refusal."""


class CannotStart(Exception):  # noqa: N818
    """Something outside keeps the controller from starting: reason, sentence, fix."""

    def __init__(self, reason: str, message: str, fix: str) -> None:
        super().__init__(f"{reason}: {message}; {fix}")


@dataclass(frozen=True, slots=True)
class Serving:
    """A running controller and the ports it really got."""

    runtime: Runtime
    public_port: int
    guard_port: int


def main() -> int:
    """Run until SIGTERM or SIGINT; 0 after a clean stop, 2 when it could not start."""
    try:
        settings = from_environment(os.environ)
        logs.configure(settings.log_level)
        uvloop.run(_run(settings))
    except SettingsError as error:
        return _say(f"SettingsInvalid: {error}")
    except CannotStart as error:
        return _say(str(error))
    return 0


def _say(line: str) -> int:
    sys.stderr.write(f"cadre-controller: {line}\n")
    return CANNOT_START


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serve(settings) as serving:
        _LOG.info("serving", extra={"publicPort": serving.public_port, "guardPort": serving.guard_port})
        warming = asyncio.create_task(_warm_up(serving.runtime))
        await stop.wait()
        _LOG.info("stopping")
        warming.cancel()
    _LOG.info("stopped")


async def _warm_up(runtime: Runtime) -> None:
    """Load the detector's language model now, so that the first task does not wait for it."""
    masker = runtime.services.masker
    if isinstance(masker, DetectMasker):
        with contextlib.suppress(MaskingFailed):
            await masker.warm_up()


@asynccontextmanager
async def serve(settings: Settings, times: ForwardTimes | None = None) -> AsyncIterator[Serving]:
    """A whole controller on its two ports; raises CannotStart. Leaving the block stops it within bounded
    time.
    """
    async with contextlib.AsyncExitStack() as stack:
        tls = await _tls(stack, settings)
        runtime = await _opened(stack, settings, times)
        public_site = _site(public_app(runtime), settings.public_listen, "PUBLIC", tls, _STOP_SECONDS)
        guard_site = _site(guard_app(runtime), settings.guard_listen, "GUARD", tls, settings.stop_seconds)
        public = await stack.enter_async_context(public_site)
        guard = await stack.enter_async_context(guard_site)
        try:
            yield Serving(runtime, public, guard)
        finally:
            runtime.stopping.set()


async def _tls(stack: contextlib.AsyncExitStack, settings: Settings) -> ssl.SSLContext | None:
    """What both ports speak TLS with, None for plain HTTP; follows the files."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    try:
        files = TlsFiles(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        message = f"certificate and key cannot be used: {error}"
        raise CannotStart("TlsFilesInvalid", message, "see CADRE_TLS_CERT and CADRE_TLS_KEY") from error
    return await stack.enter_async_context(files.following())


async def _opened(
    stack: contextlib.AsyncExitStack, settings: Settings, times: ForwardTimes | None
) -> Runtime:
    try:
        return await stack.enter_async_context(open_runtime(settings, times))
    except KeystoreError as error:
        raise CannotStart(
            error.reason, error.message, error.fix or "check CADRE_KEYSTORE_KEY_FILE"
        ) from error
    except Unavailable as error:
        fix = "start Postgres or correct CADRE_DATABASE_URL"
        raise CannotStart("DatabaseUnavailable", error.message, fix) from error
    except CadreError as error:
        raise CannotStart(error.reason, error.message, error.fix or "see the log") from error


@asynccontextmanager
async def _site(
    app: web.Application, listen: Listen, name: str, tls: ssl.SSLContext | None, stop_seconds: float
) -> AsyncIterator[int]:
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=stop_seconds,
        handle_signals=False,
        lingering_time=_LINGER_SECONDS,
    )
    await runner.setup()
    try:
        await _bind(runner, listen, name, tls)
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _bind(runner: web.AppRunner, listen: Listen, name: str, tls: ssl.SSLContext | None) -> None:
    site = web.TCPSite(runner, listen.host, listen.port, reuse_address=True, ssl_context=tls)
    try:
        await site.start()
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = "PortTaken" if taken else "CannotListen"
        message = (
            f"{listen} is taken by another process"
            if taken
            else f"cannot listen on {listen}: {error.strerror}"
        )
        raise CannotStart(reason, message, f"free it or set CADRE_{name}_LISTEN to another port") from error

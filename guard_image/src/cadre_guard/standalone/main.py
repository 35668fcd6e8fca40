"""Start, serve, end."""

import argparse
import asyncio
import logging
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import aiohttp
from aiohttp import web

from cadre_detect import DetectionError
from cadre_guard.errors import ConfigurationError
from cadre_guard.listener import StrangersRunner
from cadre_guard.logs import configure_logging
from cadre_guard.memory import settle_memory, use_few_arenas
from cadre_guard.sandbox.kernel import hide_from_ptrace
from cadre_guard.standalone.app import standalone_app
from cadre_guard.standalone.config import StandaloneSettings, read_guard_file
from cadre_guard.standalone.masker import StandaloneMasker
from cadre_guard.standalone.tracing import Tracing

log = logging.getLogger(__name__)
_KEY_BYTES = 32


def main(arguments: Sequence[str] | None = None) -> int:
    """`cadre-guard -f guard.yaml`; 2 = cannot start like this, with one line that says why."""
    parser = argparse.ArgumentParser("cadre-guard", description="The privacy guard in front of a model API.")
    parser.add_argument("-f", "--file", type=Path, required=True, metavar="GUARD_YAML")
    parser.add_argument("--check", action="store_true", help="check the file and end")
    given = parser.parse_args(arguments)
    configure_logging("INFO")
    try:
        settings = read_guard_file(given.file)
        key = _key(settings.key_file)
        use_few_arenas()
        settle_memory()
        if sys.platform == "linux":
            hide_from_ptrace()
        asyncio.run(_serve(settings, key, check=given.check))
    except (ConfigurationError, DetectionError, OSError) as error:
        print(f"cadre-guard: {error}", file=sys.stderr)  # noqa: T201 - the one clear line
        return 2
    return 0


async def _serve(settings: StandaloneSettings, key: bytes, *, check: bool) -> None:
    masker = StandaloneMasker(settings.rules, key, settings.workers)
    try:
        await masker.start()
        if check:
            return
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), trust_env=True) as http:
            tracing = Tracing(settings.traces)
            runner = StrangersRunner(standalone_app(settings, masker, http, tracing), shutdown_seconds=5.0)
            await runner.setup()
            sending = asyncio.create_task(tracing.run(http))
            try:
                await web.TCPSite(runner, settings.host, settings.port).start()
                log.info("listening", extra={"address": "{}:{}".format(*runner.addresses[0][:2])})
                await _until_told()
            finally:
                await runner.cleanup()
                sending.cancel()
                await tracing.flush(http)
    finally:
        masker.close()


async def _until_told() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


def _key(file: Path | None) -> bytes:
    """The key of tokens; raises ConfigurationError for a file that is not one."""
    if file is None:
        return secrets.token_bytes(_KEY_BYTES)
    if not file.exists():
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as made:
            made.write(secrets.token_bytes(_KEY_BYTES))
    key = file.read_bytes()
    if len(key) != _KEY_BYTES or file.stat().st_mode & 0o077:
        raise ConfigurationError(f"keyFile: {file} must hold 32 bytes and be readable by its owner alone")
    return key

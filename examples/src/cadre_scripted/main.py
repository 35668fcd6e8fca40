"""Command line: `cadre-scripted serve` plays a scenario, `cadre-scripted check` only reads it."""

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path

from aiohttp import web

from cadre_scripted.app import create_app
from cadre_scripted.reading import ScenarioError
from cadre_scripted.record import Recorder
from cadre_scripted.scenario import Scenario, load_scenario

_SHUTDOWN_SECONDS = 1.0


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0 ok, 1 the scenario is refused, 2 wrong usage, 3 cannot listen."""
    options = _parser().parse_args(argv)
    try:
        scenario = load_scenario(options.scenario)
    except ScenarioError as error:
        print(f"cadre-scripted: {error}", file=sys.stderr)
        return 1
    if options.command == "check":
        print(f"{options.scenario}: ok, {len(scenario.rules)} rules")
        return 0
    host, port = options.listen
    try:
        asyncio.run(serve(scenario, host, port, options.record))
    except OSError as error:
        reason = f"cannot listen on {host}:{port}: {error.strerror}; choose another --listen"
        print(f"cadre-scripted: {reason}", file=sys.stderr)
        return 3
    return 0


async def serve(scenario: Scenario, host: str, port: int, record: Path | None) -> None:
    """Serve until SIGTERM or SIGINT; port 0 takes a free one. Prints its address once it listens."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    app = create_app(scenario, Recorder(record))
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_SECONDS
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0][1]
        print(
            f"cadre-scripted: http://{host}:{bound} plays {scenario.name!r} ({len(scenario.rules)} rules): "
            "scripted answers, no model",
            flush=True,
        )
        await stop.wait()
    finally:
        await runner.cleanup()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cadre-scripted",
        description="A model server that plays a scenario file. There is no model in it.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="play a scenario over HTTP")
    serving.add_argument("--scenario", type=Path, required=True, metavar="FILE")
    serving.add_argument("--listen", type=_address, default=("127.0.0.1", 7460), metavar="HOST:PORT")
    serving.add_argument(
        "--record", type=Path, metavar="FILE.jsonl", help="append every request to this file"
    )
    checking = commands.add_parser("check", help="read a scenario and report what is wrong with it")
    checking.add_argument("scenario", type=Path, metavar="FILE")
    return parser


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    with contextlib.suppress(ValueError):
        if host and 0 <= int(port) <= 65535:
            return host.strip("[]"), int(port)
    raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:7460")


if __name__ == "__main__":
    sys.exit(main())

"""MCP over a child process: newline-delimited JSON-RPC; the child dies with the controller and starts again
when needed.
"""

import asyncio
import contextlib
import ctypes
import json
import logging
import signal
from collections.abc import Mapping, Sequence

from cadre_controller.gateways.tools.mcp.wire import (
    MAX_MESSAGE_BYTES,
    METHOD_NOT_FOUND,
    SESSION_UNKNOWN,
    Exchange,
    JsonObject,
    McpError,
    decode,
)

_LOG = logging.getLogger(__name__)
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_MAX_BACKOFF = 30.0
_STOP_SECONDS = 3.0


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class StdioTransport:
    """One child process; restarted with growing pauses after it ended."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self._command = tuple(command)
        self._env = dict(env)
        self._process: asyncio.subprocess.Process | None = None
        self._child: asyncio.subprocess.Process | None = None
        """The same, until it was waited for: a child may have closed its output and not ended."""
        self._reader: asyncio.Task[None] | None = None
        self._waiting: dict[object, asyncio.Future[JsonObject]] = {}
        self._writing = asyncio.Lock()
        self._failures = 0
        self._not_before = 0.0

    async def request(self, exchange: Exchange) -> JsonObject:
        """Write one request and wait for its response; raises McpError."""
        process = await self._running(exchange)
        answer: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()
        request_id = exchange.message["id"]
        self._waiting[request_id] = answer
        try:
            await self._write(process, exchange.message)
            async with asyncio.timeout(exchange.timeout):
                return await answer
        except TimeoutError as error:
            await self._cancel(process, request_id)
            raise McpError("ToolTimeout", "the tool server did not answer in time", sent=True) from error
        finally:
            self._waiting.pop(request_id, None)

    async def notify(self, exchange: Exchange) -> None:
        """Write one notification."""
        await self._write(await self._running(exchange), exchange.message)

    async def reset(self) -> None:
        """A living child keeps its session; an ended one has none."""

    async def close(self) -> None:
        """Stop the child: end of input first, then SIGTERM, then SIGKILL."""
        process, self._process, self._child = self._child, None, None
        await self._end_reader()
        if process is not None:
            await _stop(process)
        self._fail_waiting()

    async def _end_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _running(self, exchange: Exchange) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        if exchange.message.get("method") not in ("initialize", "server/discover"):
            raise McpError(
                "ToolServerGone", "the tool server's process ended", sent=False, code=SESSION_UNKNOWN
            )
        return await self._start()

    async def _start(self) -> asyncio.subprocess.Process:
        pause = self._not_before - asyncio.get_running_loop().time()
        if pause > 0:
            message = f"the tool server's process keeps ending; next start in {pause:.0f} s"
            raise McpError("ToolServerUnreachable", message, sent=False)
        self._note_start()
        launch = asyncio.ensure_future(self._launch())
        try:
            return await asyncio.shield(launch)
        except asyncio.CancelledError:
            # asyncio forgets a child whose start is cancelled; `close` must know it
            await asyncio.gather(launch, return_exceptions=True)
            raise

    async def _launch(self) -> asyncio.subprocess.Process:
        await self._end_reader()
        try:
            self._process = self._child = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=self._env,
                limit=MAX_MESSAGE_BYTES,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        except OSError as error:
            message = f"the tool server's command cannot be started: {error.strerror}"
            raise McpError("ToolServerUnreachable", message, sent=False) from error
        self._reader = asyncio.create_task(self._read(self._process))
        return self._process

    def _note_start(self) -> None:
        """Each start doubles the pause before the next; a clean answer resets it."""
        self._failures += 1
        pause = min(_MAX_BACKOFF, 0.25 * 2**self._failures) if self._failures > 1 else 0.0
        self._not_before = asyncio.get_running_loop().time() + pause

    async def _write(self, process: asyncio.subprocess.Process, message: JsonObject) -> None:
        if process.stdin is None:
            raise McpError("ToolServerGone", "the tool server's process has no input", sent=False)
        line = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        try:
            async with self._writing:
                process.stdin.write(line)
                await process.stdin.drain()
        except (ConnectionError, RuntimeError) as error:
            raise McpError("ToolServerGone", "the tool server's process ended", sent=True) from error

    async def _cancel(self, process: asyncio.subprocess.Process, request_id: object) -> None:
        params: JsonObject = {"requestId": request_id, "reason": "timeout"}
        note: JsonObject = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
        with contextlib.suppress(McpError):
            await self._write(process, note)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        try:
            while process.stdout is not None and (line := await process.stdout.readline()):
                await self._dispatch(process, line)
        except ValueError:
            _LOG.warning("tool server line too long", extra={"command": self._command[0]})
        finally:
            if self._process is process:
                self._process = None
            self._fail_waiting()
            if process.stdin is not None:
                process.stdin.close()
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def _dispatch(self, process: asyncio.subprocess.Process, line: bytes) -> None:
        try:
            message = decode(line)
        except McpError:
            _LOG.warning("tool server wrote a line that is no message", extra={"command": self._command[0]})
            return
        if "method" in message:
            await self._answer_server(process, message)
            return
        waiting = self._waiting.get(message.get("id"))
        if waiting is not None and not waiting.done():
            self._failures = 0
            self._not_before = 0.0
            waiting.set_result(message)

    async def _answer_server(self, process: asyncio.subprocess.Process, message: JsonObject) -> None:
        """We offer servers nothing but `ping`."""
        if "id" not in message:
            return
        reply: JsonObject = {"jsonrpc": "2.0", "id": message["id"]}
        if message["method"] == "ping":
            reply["result"] = {}
        else:
            reply["error"] = {"code": METHOD_NOT_FOUND, "message": "not offered by this client"}
        with contextlib.suppress(McpError):
            await self._write(process, reply)

    def _fail_waiting(self) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(
                    McpError("ToolServerGone", "the tool server's process ended", sent=True)
                )


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    for number in (0, signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
                return
        except TimeoutError:
            continue

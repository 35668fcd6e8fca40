"""JSON-RPC 2.0 in lines, both directions, over whatever reaches the agent (agentclientprotocol.com)."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from cadre_guard.errors import GuardError
from cadre_guard.jsonvalue import JsonObject, as_object, as_text, parse_object

log = logging.getLogger(__name__)

RequestHandler = Callable[[str, JsonObject], Awaitable[JsonObject]]
NotificationHandler = Callable[[str, JsonObject], None]


class AcpError(GuardError):
    """The agent answered a request with an error."""

    def __init__(self, code: int, method: str) -> None:
        super().__init__("AgentRefused", f"the agent answered {method} with error {code}")
        self.code = code


class LineReader(Protocol):
    """What the agent says."""

    async def readline(self) -> bytes:
        """The next line, empty at the end."""
        ...


class LineWriter(Protocol):
    """What it is told: one whole line per `write`."""

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...


class AcpConnection:
    """One agent's ear and mouth. `closed` is set when the agent has gone."""

    def __init__(
        self,
        reader: LineReader,
        writer: LineWriter,
        on_request: RequestHandler,
        on_notification: NotificationHandler,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._on_request = on_request
        self._on_notification = on_notification
        self._next_id = 0
        self._waiting: dict[int, tuple[str, asyncio.Future[JsonObject]]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self.closed = asyncio.Event()

    async def run(self) -> None:
        """Read until the agent closes its output; then every open call fails with AgentCrashed."""
        try:
            while line := await self._reader.readline():
                self._take(line)
        except (ConnectionError, ValueError):
            log.warning("agent pipe broke")
        finally:
            self.closed.set()
            self._fail_all()

    async def call(self, method: str, params: JsonObject, timeout_seconds: float) -> JsonObject:
        """Ask and wait; raises AcpError, or GuardError AgentCrashed or AgentStuck (no answer in time)."""
        if self.closed.is_set():
            raise _crashed()
        self._next_id += 1
        number = self._next_id
        future: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (method, future)
        try:
            await self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
            async with asyncio.timeout(timeout_seconds):
                return await future
        except TimeoutError:
            raise GuardError("AgentStuck", f"the agent did not answer {method} in time") from None
        finally:
            self._waiting.pop(number, None)

    async def notify(self, method: str, params: JsonObject) -> None:
        """Tell without an answer."""
        await self._send({"jsonrpc": "2.0", "method": method, "params": params})

    async def _send(self, message: JsonObject) -> None:
        try:
            self._writer.write(json.dumps(message, ensure_ascii=False).encode() + b"\n")
            await self._writer.drain()
        except (ConnectionError, RuntimeError):
            raise _crashed() from None

    def _take(self, line: bytes) -> None:
        message = parse_object(line)
        if message is None:
            return  # a stray print of the agent: not ours to repeat anywhere
        method, number = as_text(message.get("method")), message.get("id")
        if not method:
            self._settle(message)
        elif number is None:
            self._on_notification(method, as_object(message.get("params")))
        else:
            task = asyncio.create_task(self._answer(number, method, as_object(message.get("params"))))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    def _settle(self, message: JsonObject) -> None:
        number = message.get("id")
        method, future = self._waiting.pop(number, ("", None)) if isinstance(number, int) else ("", None)
        if future is None or future.done():
            return
        error = message.get("error")
        if isinstance(error, dict):
            code = error.get("code")
            future.set_exception(AcpError(code if isinstance(code, int) else 0, method))
        else:
            future.set_result(as_object(message.get("result")))

    async def _answer(self, number: object, method: str, params: JsonObject) -> None:
        answer: JsonObject = {"jsonrpc": "2.0", "id": number}
        try:
            answer["result"] = await self._on_request(method, params)
        except LookupError:
            answer["error"] = {"code": -32601, "message": "not supported"}
        except GuardError as error:
            answer["error"] = {"code": -32000, "message": error.reason}
        with contextlib.suppress(GuardError):
            await self._send(answer)

    def _fail_all(self) -> None:
        for _method, future in self._waiting.values():
            if not future.done():
                future.set_exception(_crashed())
        for task in self._answering:
            task.cancel()


def _crashed() -> GuardError:
    return GuardError("AgentCrashed", "the agent's process ended")

"""MCP over streamable HTTP: an answer is either one JSON body or an event stream that ends with it."""

import json
from collections.abc import AsyncIterator, Mapping

import aiohttp

from cadre_controller.gateways.tools.mcp.wire import (
    MAX_MESSAGE_BYTES,
    SESSION_UNKNOWN,
    Exchange,
    JsonObject,
    McpError,
    decode,
    is_response_to,
)

_SESSION_HEADER = "Mcp-Session-Id"


class HttpTransport:
    """One tool server behind one URL; keeps the session id that `initialize` gave."""

    def __init__(self, http: aiohttp.ClientSession, url: str, headers: Mapping[str, str]) -> None:
        self._http = http
        self._url = url
        self._headers = dict(headers)
        self._session_id = ""

    async def request(self, exchange: Exchange) -> JsonObject:
        """Post one request and return its response; raises McpError."""
        async with _Post(self._http, self._url, self._all_headers(exchange), exchange) as response:
            self._session_id = response.headers.get(_SESSION_HEADER, self._session_id)
            return await _answer(response, exchange.message.get("id"))

    async def notify(self, exchange: Exchange) -> None:
        """Post a notification; the answer is 202 without a body."""
        async with _Post(self._http, self._url, self._all_headers(exchange), exchange):
            return

    async def reset(self) -> None:
        """Forget the session id."""
        self._session_id = ""

    async def close(self) -> None:
        """Tell the server that the session is over; its answer does not matter."""
        if not self._session_id:
            return
        try:
            headers = {**self._headers, _SESSION_HEADER: self._session_id}
            timeout = aiohttp.ClientTimeout(total=2)
            async with self._http.delete(self._url, headers=headers, timeout=timeout):
                self._session_id = ""
        except (aiohttp.ClientError, TimeoutError):
            self._session_id = ""

    def _all_headers(self, exchange: Exchange) -> dict[str, str]:
        session = {_SESSION_HEADER: self._session_id} if self._session_id else {}
        accept = {"Accept": "application/json, text/event-stream"}
        return {**self._headers, **accept, **session, **exchange.headers}


class _Post:
    """A POST whose failures are told apart: not sent, perhaps sent, refused."""

    def __init__(
        self, http: aiohttp.ClientSession, url: str, headers: Mapping[str, str], exchange: Exchange
    ) -> None:
        timeout = aiohttp.ClientTimeout(total=exchange.timeout, sock_connect=10)
        self._request = http.post(
            url, json=exchange.message, headers=headers, timeout=timeout, allow_redirects=False
        )
        self._response: aiohttp.ClientResponse | None = None

    async def __aenter__(self) -> aiohttp.ClientResponse:
        try:
            self._response = await self._request
        except Exception as error:
            raise _translated(error) or error from error
        try:
            await _refuse_bad_status(self._response)
        except BaseException:
            self._response.release()
            raise
        return self._response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if self._response is not None:
            self._response.release()
        translated = _translated(error) if isinstance(error, Exception) else None
        if translated is not None:
            raise translated from error


def _translated(error: Exception) -> McpError | None:
    if isinstance(error, TimeoutError):
        connecting = isinstance(error, aiohttp.ConnectionTimeoutError)
        return McpError("ToolTimeout", "the tool server did not answer in time", sent=not connecting)
    if isinstance(error, aiohttp.ClientConnectorError):
        return McpError("ToolServerUnreachable", "the tool server cannot be reached", sent=False)
    if isinstance(error, aiohttp.InvalidURL):
        return McpError("ToolServerUnreachable", "the tool server's URL is not valid", sent=False)
    if isinstance(error, aiohttp.ClientError):
        return McpError("ToolServerCut", "the connection to the tool server broke", sent=True)
    return None


async def _refuse_bad_status(response: aiohttp.ClientResponse) -> None:
    if response.status < 300:
        return
    if response.content_type == "application/json":
        body = await response.content.read(64 * 1024)
        if b'"jsonrpc"' in body:
            _raise_rpc_error(body, response.status)
    reason = "ToolServerUnauthorized" if response.status in (401, 403) else "ToolServerFailed"
    message = f"the tool server answered {response.status}"
    raise McpError(reason, message, sent=response.status >= 500, code=response.status)


def _raise_rpc_error(body: bytes, status: int) -> None:
    try:
        error = json.loads(body).get("error")
    except (ValueError, AttributeError):
        return
    if isinstance(error, dict) and isinstance(error.get("code"), int):
        message = f"the tool server refused the request: {str(error.get('message', ''))[:500]}"
        code = SESSION_UNKNOWN if status == SESSION_UNKNOWN else error["code"]
        raise McpError("ToolServerRefused", message, sent=status >= 500, code=code)


async def _answer(response: aiohttp.ClientResponse, request_id: object) -> JsonObject:
    if response.content_type == "text/event-stream":
        async for data in _events(response):
            message = decode(data)
            if is_response_to(message, request_id):
                return message
        raise McpError("ToolServerCut", "the tool server's stream ended without an answer", sent=True)
    message = decode(await _bounded(response))
    if not is_response_to(message, request_id):
        raise McpError("ToolServerGarbage", "the tool server answered another request", sent=True)
    return message


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_MESSAGE_BYTES:
            raise _too_large()
    return bytes(body)


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[str]:
    """The `data` of each server-sent event; comments, ids and retry hints are skipped."""
    buffer = bytearray()
    data: list[str] = []
    async for chunk in response.content.iter_any():
        buffer += chunk
        if len(buffer) + sum(map(len, data)) > MAX_MESSAGE_BYTES:
            raise _too_large()
        *lines, rest = bytes(buffer).replace(b"\r\n", b"\n").split(b"\n")
        buffer = bytearray(rest)
        for line in lines:
            if line.startswith(b"data:"):
                data.append(line[5:].strip().decode("utf-8", "replace"))
            elif not line and any(data):
                yield "\n".join(data)
                data = []
            elif not line:
                data = []


def _too_large() -> McpError:
    return McpError("ToolResultTooLarge", "the tool server's answer is larger than 8 MiB", sent=True)

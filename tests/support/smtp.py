"""A mail server: as much of SMTP (RFC 5321) as a client needs; keeps what it took, refuses as it is told."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from tests.support.certs import Authority


@dataclass
class MailBox:
    """What the server took, and what it refuses."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    refusals: dict[str, list[str]] = field(default_factory=dict)
    """Verb -> answers that it gets first, one each time."""

    def answer(self, verb: str, otherwise: str) -> str:
        """The next answer to a verb."""
        waiting = self.refusals.get(verb, [])
        return waiting.pop(0) if waiting else otherwise


@asynccontextmanager
async def mail_server(
    authority: Authority, *, implicit: bool = False, tls: bool = True
) -> AsyncIterator[MailBox]:
    """A server on a free port; with STARTTLS, or TLS from the first byte."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.server("127.0.0.1"))
    box, talks = MailBox(), set[asyncio.Task[None]]()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
                await _Talk(box, reader, writer, context if tls and not implicit else None).run()
        finally:
            talks.discard(task)
            writer.close()
            with suppress(OSError, ssl.SSLError):
                await writer.wait_closed()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context if implicit else None)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        for task in tuple(talks):
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await server.wait_closed()


class _Talk:
    def __init__(
        self,
        box: MailBox,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        context: ssl.SSLContext | None,
    ) -> None:
        self._box, self._reader, self._writer, self._context = box, reader, writer, context

    async def run(self) -> None:
        self._say("220 here")
        while line := (await self._reader.readline()).decode().rstrip("\r\n"):
            verb = line.split(" ")[0].upper()
            if verb == "QUIT":
                self._say("221 bye")
                return
            await self._do(verb, line)
            await self._writer.drain()

    async def _do(self, verb: str, line: str) -> None:
        match verb:
            case "EHLO":
                offers = ["AUTH PLAIN", *(["STARTTLS"] if self._context is not None else [])]
                self._say(*(f"250-{offer}" for offer in ["here", *offers]), "250 8BITMIME")
            case "STARTTLS" if self._context is not None:
                self._say("220 go")
                await self._writer.drain()
                await self._writer.start_tls(self._context)
                self._context = None
            case "AUTH":
                user, password = base64.b64decode(line.split(" ")[2]).split(b"\x00")[1:]
                self._box.users.append(f"{user.decode()}:{password.decode()}")
                self._say(self._box.answer(verb, "235 in"))
            case "RCPT":
                self._box.recipients.append(line.partition("<")[2].partition(">")[0])
                self._say(self._box.answer(verb, "250 ok"))
            case "DATA":
                self._say("354 go on")
                await self._writer.drain()
                raw = await self._reader.readuntil(b"\r\n.\r\n")
                answer = self._box.answer(verb, "250 taken")
                if answer.startswith("250"):
                    self._box.mails.append(message_from_bytes(raw[:-3], policy=policy.default))  # type: ignore[arg-type]
                self._say(answer)
            case _:
                self._say(self._box.answer(verb, "250 ok"))

    def _say(self, *lines: str) -> None:
        self._writer.write("".join(f"{line}\r\n" for line in lines).encode())

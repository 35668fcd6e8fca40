"""The agent as a container beside us: the kubelet starts and restarts it, we only decide whom we talk to.

A seat is a connection. A dropped one kills the agent's turns and takes the keys with it; an agent that does
not know the new keys is reported unhealthy until the kubelet has replaced it.
"""

import asyncio
import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from cadre_api.protocol.guard import AgentBundle
from cadre_guard.acp.connection import LineReader, LineWriter
from cadre_guard.errors import GuardError
from cadre_guard.place.keys import KeyFile, PodKeys, home_rights
from cadre_guard.place.links import Dialer, Link, LinkRefusedError
from cadre_guard.place.port import EndpointKeys

log = logging.getLogger(__name__)

_UNREACHABLE_AFTER = 60.0
"""Seconds without an agent after which it counts as broken; images are pulled before, not within them."""
_RETRY_SECONDS = 0.1
_UNMET_SECONDS = 20.0
"""Seconds after which an agent that answers counts as started though we did not meet it: it may be frozen."""


@dataclass(slots=True)
class PodSeat:
    """An open connection to the agent, with listeners lent for as long as it lasts."""

    pod: "Pod"
    link: Link
    keys: EndpointKeys
    model_listener: socket.socket
    tool_listener: socket.socket
    cwd: str
    boundary: Mapping[str, bool]

    @property
    def reader(self) -> LineReader:
        """What it says."""
        return self.link.reader

    @property
    def writer(self) -> LineWriter:
        """What it is told."""
        return self.link.writer

    async def end(self, *, broken: bool) -> None:
        """Hang up; a broken agent is one whose keys no longer hold."""
        await self.link.close()
        self.pod.left(broken=broken)

    async def clean(self) -> None:
        """Give the listeners back: the sockets they were copied from stay open."""
        self.model_listener.close()
        self.tool_listener.close()


@dataclass(slots=True)
class Pod:
    """The one agent of this pod."""

    dialer: Dialer
    key_file: KeyFile
    model_listener: socket.socket
    tool_listener: socket.socket
    cwd: str
    sealed: bool
    """Whether the egress probe ran and nothing answered."""
    judged: bool = False
    """The network was looked at, and nothing in it forbids an agent."""
    prepared: asyncio.Event = field(default_factory=asyncio.Event)
    """The agent may start: its keys are there and our endpoints listen."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    keys: PodKeys | None = None
    connected: bool = False
    refused: bool = False
    """Whoever answers does not know our keys."""
    _missing_since: float | None = None
    _answers_since: float | None = None
    _expected: AgentBundle | None = None

    def allow(self, *, sealed: bool) -> None:
        """Let an agent start from now on."""
        self.judged, self.sealed = True, sealed
        if self._expected is not None:
            self.expect(self._expected)

    def expect(self, bundle: AgentBundle) -> None:
        """Let the agent start, once one may, while we still load what its rules need; it is served later."""
        self._expected = bundle
        if self.judged and bundle.lifecycle == "Running" and not self.connected:
            self._keys_for(home_rights(bundle))
            self.prepared.set()

    async def seat(self, bundle: AgentBundle) -> PodSeat:
        """Connect; raises GuardError(AgentUnreachable, GuardDraining)."""
        keys = self._keys_for(home_rights(bundle))
        self.prepared.set()
        link = await self._dial(keys.acp)
        self.connected, self._missing_since = True, None
        return PodSeat(
            pod=self,
            link=link,
            keys=keys.endpoints,
            model_listener=self.model_listener.dup(),
            tool_listener=self.tool_listener.dup(),
            cwd=self.cwd,
            boundary={"egress": self.sealed},
        )

    def left(self, *, broken: bool) -> None:
        """The connection is over. New keys at once, so that a new process finds them."""
        self.connected = False
        if broken and self.keys is not None:
            self.keys = self.key_file.renew(self.keys.home_rights)

    def close(self) -> None:
        """Wait for no agent any more."""
        self.closing.set()

    async def up(self) -> bool:
        """It started: it answers, though we may not have met it; `healthy` judges it from then on."""
        if self.refused:
            return True
        now = asyncio.get_running_loop().time()
        if not await self.dialer.answers():
            self._answers_since = None
            return False
        self._answers_since = self._answers_since or now
        return now - self._answers_since >= _UNMET_SECONDS

    async def healthy(self) -> bool:
        """False = replace the agent: it knows other keys, hangs, or has been away for long."""
        if self.refused:
            return False
        if await self.dialer.answers():
            self._missing_since = None
            return True
        now = asyncio.get_running_loop().time()
        self._missing_since = self._missing_since or now
        return now - self._missing_since < _UNREACHABLE_AFTER

    def _keys_for(self, rights: str) -> PodKeys:
        """Those in force; after a start of ours those in the file, which a live agent may have."""
        keys = self.keys or self.key_file.read()
        if keys is None or keys.home_rights != rights:
            keys = self.key_file.renew(rights)
        self.keys = keys
        return keys

    async def _dial(self, key: str) -> Link:
        loop = asyncio.get_running_loop()
        until = loop.time() + _UNREACHABLE_AFTER
        while loop.time() < until and not self.closing.is_set():
            try:
                link = await self.dialer.dial(key)
            except LinkRefusedError:
                if not self.refused:
                    log.warning("the agent has other keys; waiting for its replacement")
                self.refused = True
            except (OSError, TimeoutError):
                self.refused = False
            else:
                self.refused = False
                return link
            await _pause(self.closing)
        if self.closing.is_set():
            raise GuardError("GuardDraining", "the guard is shutting down")
        raise GuardError("AgentUnreachable", "the agent's container does not answer")


async def _pause(unless: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_RETRY_SECONDS):
            await unless.wait()
    except TimeoutError:
        return

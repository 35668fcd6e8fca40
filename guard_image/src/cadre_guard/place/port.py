"""What a place must give: an agent to talk to, two listeners that it alone reaches, and its end."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from cadre_api.protocol.guard import AgentBundle
from cadre_guard.acp.connection import LineReader, LineWriter


@dataclass(frozen=True, slots=True)
class EndpointKeys:
    """What the agent must know to be served: the path nobody can guess, and its bearer."""

    prefix: str
    secret: str


class Seat(Protocol):
    """One live agent, from hand-shake to end."""

    @property
    def reader(self) -> LineReader:
        """What the agent says, line by line."""
        ...

    @property
    def writer(self) -> LineWriter:
        """What it is told."""
        ...

    @property
    def model_listener(self) -> socket.socket:
        """Where the model endpoint is served; belongs to the seat."""
        ...

    @property
    def tool_listener(self) -> socket.socket:
        """Where the tool endpoint is served; belongs to the seat."""
        ...

    @property
    def keys(self) -> EndpointKeys:
        """What this agent was given."""
        ...

    @property
    def cwd(self) -> str:
        """Its working directory, as it sees it."""
        ...

    @property
    def boundary(self) -> Mapping[str, bool]:
        """What really isolates it."""
        ...

    async def end(self, *, broken: bool) -> None:
        """Part from the agent; a broken one must not be met again. No request of it is under way any more
        after this.
        """
        ...

    async def clean(self) -> None:
        """Close the listeners and wipe what is left; the servers on them have ended."""
        ...


class Place(Protocol):
    """Where agents come from."""

    async def seat(self, bundle: AgentBundle) -> Seat:
        """A live agent with this bundle's rights and no memory of others; raises GuardError."""
        ...

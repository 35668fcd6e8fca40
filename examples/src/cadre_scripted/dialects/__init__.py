"""The wire formats: how each is read, and how an answer looks in it."""

from collections.abc import Iterator
from typing import Protocol

from cadre_scripted.answer import Answer
from cadre_scripted.conversation import Conversation, Json


class Dialect(Protocol):
    """What the server needs to know of a wire format."""

    name: str
    stream_type: str
    """Content type of a streamed answer."""

    def parse(self, body: Json) -> Conversation:
        """Read a request; BadRequestError when it is malformed."""
        ...

    def whole(self, answer: Answer, now: float) -> Json:
        """Render the answer in one piece; `now` in seconds since the epoch."""
        ...

    def frames(self, answer: Answer, asked: Conversation, now: float) -> Iterator[bytes]:
        """Render the answer as the events of a stream."""
        ...

    def error(self, status: int, message: str, code: str) -> Json:
        """Body of a refusal."""
        ...

    def error_frame(self, message: str) -> bytes:
        """Render an error inside a stream."""
        ...

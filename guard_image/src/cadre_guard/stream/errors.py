"""What a stream can do that ends it."""

from __future__ import annotations


class StreamError(Exception):
    """The stream cannot be read on; `reason` is a CamelCase word. Never carries the content."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(f"{reason}: {message}" if message else reason)
        self.reason = reason

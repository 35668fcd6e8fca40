"""The two ways a scan ends without an answer; both mean that nothing may leave."""

from __future__ import annotations

from collections.abc import Iterable


class DetectionError(Exception):
    """The text could not be judged; `reason` is a CamelCase word. Never carries the text."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(f"{reason}: {message}" if message else reason)
        self.reason = reason


class Blocked(Exception):  # noqa: N818 - a decision of the policy, not a fault
    """Policy forbids the text to pass; names the entity types found, never their values."""

    def __init__(self, reason: str, entity_types: Iterable[str]) -> None:
        self.reason = reason
        self.entity_types = tuple(sorted(entity_types))
        super().__init__(f"{reason}: {', '.join(self.entity_types)}")

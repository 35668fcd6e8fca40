"""What kopf needs to bear ten thousand objects at its start, in memory and in time."""

from collections.abc import Callable
from typing import Any

from kopf._cogs.aiokits import aiotoggles  # no setting changes how its workers wait for each other
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory  # may be brought along
from typing_extensions import override


class QuietToggles(aiotoggles.ToggleSet):
    """Wakes those who wait for the whole set only when that has turned.

    At the start each object's worker waits until all objects are indexed, and kopf wakes all of them for each
    one that is: as many times as there are objects, squared.
    """

    @override
    async def make_toggle(self, __val: bool = False, *, name: str | None = None) -> aiotoggles.Toggle:
        toggle = aiotoggles.Toggle(__val, name=name, condition=self._condition)
        await self._change(lambda: self._toggles.add(toggle))
        return toggle

    @override
    async def drop_toggle(self, toggle: aiotoggles.Toggle) -> None:
        await self._change(lambda: self._toggles.discard(toggle))

    async def _change(self, how: Callable[[], None]) -> None:
        async with self._condition:
            before = self.is_on()
            how()
            if self.is_on() != before:
                self._condition.notify_all()


def wait_quietly() -> None:
    """Have kopf use our toggles from now on."""
    aiotoggles.ToggleSet = QuietToggles  # type: ignore[misc]


class NoMemories(ResourceMemories):
    """Remembers nothing of any object: handlers that would make use of it are not here."""

    @override
    async def recall(self, raw_body: Any, **kwargs: Any) -> ResourceMemory:
        return await super().recall(raw_body, **{**kwargs, "ephemeral": True})

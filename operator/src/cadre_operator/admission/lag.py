"""Whoever writes many objects in a row is faster than watches and compilations.

What a write refers to may have been written a moment before, through another replica of the operator.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Final, TypeVar

from cadre_operator.admission.review import RefusedError
from cadre_operator.admission.stamps import HELD
from cadre_operator.chart.evaluate import ChartState
from cadre_operator.watch.entries import Entry

PATIENCE_SECONDS: Final = 2.0
"""How long a refusal waits at most for news that would end it."""
_SHARE: Final = 5
"""Of the time that the API server gives a review, one in so many parts is spent on waiting."""
PASSING: Final = frozenset({"DanglingReference", "NoProfile", "NotGranted", "UnknownTool", "UnknownModel"})
"""Reasons that may end when more of the cluster is seen."""
_FIRST_PAUSE_SECONDS = 0.05

T = TypeVar("T")


def with_news(state: ChartState | None, entries: Iterable[Entry]) -> ChartState | None:
    """Return the chart with objects that no compilation has looked at yet; what is held has no effect."""
    if state is None or state.snapshot is None:
        return state
    news = {
        entry.key: entry.model
        for entry in entries
        if entry.model is not None and entry.key not in state.fingerprints and HELD not in entry.notes
    }
    return replace(state, models={**state.models, **news}) if news else state


async def patiently(
    judge: Callable[[], Awaitable[T]], clock: Callable[[], float], review_seconds: float
) -> T:
    """Judge again for a while as long as the refusal is one that may pass. Raises RefusedError.

    `review_seconds` = how long the API server waits for the answer.
    """
    until, pause = clock() + min(PATIENCE_SECONDS, review_seconds / _SHARE), _FIRST_PAUSE_SECONDS
    while True:
        try:
            return await judge()
        except RefusedError as error:
            if error.reason not in PASSING or clock() + pause > until:
                raise
        await asyncio.sleep(pause)
        pause *= 2

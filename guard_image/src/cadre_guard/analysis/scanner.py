"""What a guard has its texts read by: processes of its own, or the analyzer of its machine."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Protocol

from cadre_detect import DetectConfig, Finding, SpanCache

Question = tuple[str, bool]
"""(text, whether it is prose)."""


class Scanner(Protocol):
    """Finds entities in texts; a text without an answer is an error, never clean."""

    async def start(self) -> None:
        """Load what reads texts; raises DetectionError."""

    async def prepare(self, config: DetectConfig) -> None:
        """Make ready for a configuration; raises DetectionError."""

    async def scan(
        self, config: DetectConfig, questions: Sequence[Question]
    ) -> Mapping[Question, Sequence[Finding]]:
        """Findings of every text; raises DetectionError when one of them cannot be judged."""

    def close(self) -> None:
        """End it."""


def sidecar() -> Scanner:
    """A process of the guard's own."""
    from cadre_guard.analysis.pool import AnalysisPool

    return AnalysisPool(SpanCache(secrets.token_bytes(32)))

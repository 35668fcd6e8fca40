"""The one place where the controller reads the time, so that tests can turn it."""

import time
from datetime import UTC, datetime


class SystemClock:
    """Wall time in UTC and a monotonic counter in seconds."""

    def now(self) -> datetime:
        """Aware UTC time."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

"""Durations as they are told: percentiles of wall time, and CPU time, which other load disturbs less."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest-rank percentile (0 < share <= 1); NaN without values."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


@dataclass
class Samples:
    """Repeated measurements of one thing; all times in seconds."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """CPU time of this process with all its threads."""

    def measure(self, work: Callable[[], object]) -> None:
        """Do the work once and keep what it took."""
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)

    @property
    def p50_ms(self) -> float:
        """Median wall time in milliseconds."""
        return 1e3 * percentile(self.wall, 0.5)

    @property
    def p95_ms(self) -> float:
        """95th percentile of wall time in milliseconds."""
        return 1e3 * percentile(self.wall, 0.95)

    @property
    def cpu_p50_ms(self) -> float:
        """Median CPU time in milliseconds."""
        return 1e3 * percentile(self.cpu, 0.5)

"""How long to wait before a program that died is started again."""

from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Exponential, forgotten after a healthy run. Seconds everywhere."""

    first: float = 0.5
    factor: float = 2.0
    ceiling: float = 30.0
    healthy_after: float = 60.0
    failures: int = 0

    def delay(self, ran_for: float) -> float:
        """Seconds to wait after a run that lasted `ran_for` seconds."""
        if ran_for >= self.healthy_after:
            self.failures = 0
        wait = min(self.ceiling, self.first * self.factor ** min(self.failures, 30))
        self.failures += 1
        return wait

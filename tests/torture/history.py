"""What everybody asked for and was told, so that a violation can be shown with the few lines that matter."""

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened, seen from outside."""

    at: float
    who: str
    what: str
    about: tuple[str, ...]
    outcome: str

    def told(self) -> str:
        """For people."""
        return f"{self.at:8.3f}  {self.who:<12} {self.what} {' '.join(self.about)} -> {self.outcome}"


@dataclass
class History:
    """Lines in the order in which they happened; `add` is all that the parties use."""

    lines: list[Line] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    def add(self, who: str, what: str, *about: str, outcome: str = "") -> None:
        """Note an event and the ids that it concerns."""
        self.lines.append(Line(time.monotonic() - self._began, who, what, about, outcome))

    def minimal(self, *names: str) -> list[str]:
        """The lines that concern these ids, and every kill between the first and the last of them."""
        wanted = set(names)
        touching = [n for n, line in enumerate(self.lines) if wanted & set(line.about)]
        if not touching:
            return []
        window = range(touching[0], touching[-1] + 1)
        chosen = {*touching, *(n for n in window if self.lines[n].who == "chaos")}
        return [self.lines[n].told() for n in sorted(chosen)]

    def count(self, what: str) -> int:
        """How often something happened."""
        return sum(line.what == what for line in self.lines)


@dataclass
class Ledger:
    """What was accepted: the promises that the checker holds the system to."""

    tasks: dict[int, str] = field(default_factory=dict)
    """Number of a planned task -> the id that was answered."""
    cancelled: set[str] = field(default_factory=set)
    finished: dict[str, str] = field(default_factory=dict)
    """Task id -> the result that a guard got accepted."""
    runs: dict[int, str] = field(default_factory=dict)
    """Number of a planned run of the workflow -> the id that was answered."""
    stopped: set[str] = field(default_factory=set)
    """Runs whose cancelling was accepted."""
    messages: dict[str, str] = field(default_factory=dict)
    """Idempotency key -> message id."""
    acked: set[str] = field(default_factory=set)
    votes: dict[str, str] = field(default_factory=dict)
    """Approval id -> the first decision that was accepted."""
    leases: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    """(task, fence) -> instances that were given the lease."""
    duplicates: list[tuple[str, str, str]] = field(default_factory=list)
    """(key, first answer, other answer) where a repeated request got a different one."""

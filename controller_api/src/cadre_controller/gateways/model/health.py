"""Which providers are worth asking right now: a circuit breaker and a rate limit for each."""

from dataclasses import dataclass

FAILURES_TO_OPEN = 5
OPEN_SECONDS = 15.0


@dataclass(slots=True)
class _State:
    failures: int = 0
    open_until: float = 0.0
    tokens: float = 0.0
    refilled_at: float = 0.0
    known: bool = False


class ProviderHealth:
    """Counts failures in a row and calls per minute; times are monotonic seconds, given by the caller."""

    def __init__(self) -> None:
        self._states: dict[str, _State] = {}

    def usable_in(self, provider: str, requests_per_minute: int, now: float) -> float:
        """Seconds until the provider may be asked again; 0 = now."""
        state = self._state(provider)
        if state.failures >= FAILURES_TO_OPEN and now < state.open_until:
            return state.open_until - now
        self._refill(state, requests_per_minute, now)
        if requests_per_minute and state.tokens < 1:
            return (1 - state.tokens) * 60 / requests_per_minute
        return 0.0

    def take(self, provider: str, requests_per_minute: int, now: float) -> None:
        """Count one request; an open breaker lets only this one through until it is known how it went."""
        state = self._state(provider)
        self._refill(state, requests_per_minute, now)
        state.tokens = max(0.0, state.tokens - 1)
        if state.failures >= FAILURES_TO_OPEN:
            state.open_until = now + OPEN_SECONDS

    def succeeded(self, provider: str) -> None:
        """Close the breaker."""
        self._state(provider).failures = 0

    def failed(self, provider: str, now: float) -> None:
        """One more failure in a row; enough of them open the breaker."""
        state = self._state(provider)
        state.failures += 1
        if state.failures >= FAILURES_TO_OPEN:
            state.open_until = now + OPEN_SECONDS

    def open(self, now: float) -> tuple[str, ...]:
        """The providers that are not asked at the moment."""
        return tuple(
            name for name, s in self._states.items() if s.failures >= FAILURES_TO_OPEN and now < s.open_until
        )

    def _state(self, provider: str) -> _State:
        return self._states.setdefault(provider, _State())

    @staticmethod
    def _refill(state: _State, requests_per_minute: int, now: float) -> None:
        if not state.known:
            state.known, state.tokens, state.refilled_at = True, float(requests_per_minute), now
        earned = (now - state.refilled_at) * requests_per_minute / 60
        state.tokens = min(float(requests_per_minute), state.tokens + earned)
        state.refilled_at = now

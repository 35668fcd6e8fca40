"""One error for everything that ends a step: a stable reason, and a message that never quotes a value."""


class GuardError(Exception):
    """Something did not work; `retryable` says whether another attempt may."""

    def __init__(self, reason: str, message: str, *, retryable: bool = True, status: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retryable = retryable
        self.status = status
        """HTTP status that said so; 0 = none."""


class LeaseLostError(GuardError):
    """Another guard instance has this task now: stop the turn and say nothing more."""

    def __init__(self) -> None:
        super().__init__("LeaseLost", "the lease is gone", retryable=False, status=409)


class ConfigurationError(GuardError):
    """The guard cannot start like this."""

    def __init__(self, message: str) -> None:
        super().__init__("BadConfiguration", message, retryable=False)

"""Every refusal the services can give: a stable `reason` to branch on, the status it becomes on the wire,
and a fix.

Services raise these and nothing else on purpose; one HTTP middleware turns them into RFC 9457 bodies.
"""

from collections.abc import Sequence
from typing import ClassVar

from cadre_core.model import Problem


class CadreError(Exception):
    """A refusal with a machine-readable reason and a sentence for a human."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "The controller failed"

    def __init__(self, reason: str, message: str, fix: str = "") -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.fix = fix


class NotFound(CadreError):  # noqa: N818 - a refusal, named as its reason
    """There is no such thing in this tenant."""

    status = 404
    title = "Not found"


class Denied(CadreError):  # noqa: N818 - a refusal, named as its reason
    """Policy, clearance or fencing forbids it."""

    status = 403
    title = "Not permitted"

    def __init__(self, reason: str, message: str, fix: str = "", rules: Sequence[str] = ()) -> None:
        super().__init__(reason, message, fix)
        self.rules = tuple(rules)


class Conflict(CadreError):  # noqa: N818 - a refusal, named as its reason
    """The state does not permit it (any more)."""

    status = 409
    title = "Conflict"


class VersionConflict(Conflict):
    """What was to be changed has another version by now."""

    def __init__(self, name: str, version: int, expected: int) -> None:
        super().__init__(
            "VersionConflict",
            f"{name} has version {version}, not {expected}; 0 means that it does not exist",
            "read it again, then decide",
        )


class LeaseLost(Conflict):
    """The fence is stale: another attempt or instance holds the task, or it is final."""

    def __init__(self, task_id: str) -> None:
        super().__init__("LeaseLost", f"the lease on task {task_id} is not yours any more", "stop the turn")
        self.task_id = task_id


class InvalidInput(CadreError):  # noqa: N818 - a refusal, named as its reason
    """The request is understood and wrong."""

    status = 422
    title = "Invalid input"

    def __init__(self, reason: str, message: str, fix: str = "", problems: Sequence[Problem] = ()) -> None:
        super().__init__(reason, message, fix)
        self.problems = tuple(problems)


class ChartInvalid(InvalidInput):
    """The chart does not compile; nothing was applied."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        message = f"{len(problems)} problem(s); nothing was applied"
        super().__init__("ChartInvalid", message, "correct every problem listed and apply again", problems)


class IdempotencyKeyReused(InvalidInput):
    """The key was used with another body."""

    def __init__(self, key: str) -> None:
        super().__init__(
            "IdempotencyKeyReused",
            f"Idempotency-Key {key!r} was used with a different request",
            "send a new key for a new request",
        )


class BudgetExceeded(CadreError):  # noqa: N818 - a refusal, named as its reason
    """A node on the path has no room for the reservation."""

    status = 403
    title = "Budget exceeded"

    def __init__(self, node: str, on_exceeded: str) -> None:
        super().__init__(
            "BudgetExceeded",
            f"the budget of node {node} has no room for this call ({on_exceeded})",
            "raise the node's budget, wait for the next period or use a local model",
        )
        self.node = node
        self.on_exceeded = on_exceeded


class RateLimited(CadreError):  # noqa: N818 - a refusal, named as its reason
    """Too many of these from this caller; try again after `retry_after` seconds."""

    status = 429
    title = "Too many requests"

    def __init__(self, what: str, retry_after: float) -> None:
        super().__init__("RateLimited", f"too many {what}", "slow down and retry after the stated time")
        self.retry_after = retry_after


class Overloaded(CadreError):  # noqa: N818 - a refusal, named as its reason
    """The commit queue is full; nothing was done; try again after `retry_after` seconds."""

    status = 429
    title = "Overloaded"

    def __init__(self, retry_after: float) -> None:
        super().__init__("Overloaded", "the controller is behind on commits", "retry after the stated time")
        self.retry_after = retry_after


class Unavailable(CadreError):  # noqa: N818 - a refusal, named as its reason
    """The database does not answer; whether the work was done is told by repeating it with the same key."""

    status = 503
    title = "Unavailable"

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__("Unavailable", message, "retry with the same idempotency key")
        self.retry_after = retry_after


class MaskingFailed(CadreError):  # noqa: N818 - a refusal, named as its reason
    """The detector failed: nothing was stored, nothing left."""

    status = 503
    title = "Masking failed"


class KeystoreError(CadreError):
    """The keystore cannot be opened or written."""

"""Refusals that only HTTP knows: they join the services' errors, so that one middleware writes every
problem body.
"""

from collections.abc import Sequence

from cadre_api.protocol.base import FieldProblem
from cadre_controller.errors import CadreError


class BadRequest(CadreError):  # noqa: N818
    """The request cannot be understood; `problems` name the fields."""

    status = 400
    title = "Bad request"

    def __init__(self, message: str, fix: str, problems: Sequence[FieldProblem] = ()) -> None:
        super().__init__("BadRequest", message, fix)
        self.problems = tuple(problems)


class Unauthorized(CadreError):  # noqa: N818
    """No valid token for this port."""

    status = 401
    title = "Not authenticated"

    def __init__(self, reason: str, message: str, fix: str = "get a new token from the token route") -> None:
        super().__init__(reason, message, fix)


class UnsupportedMediaType(CadreError):  # noqa: N818
    """The body is of a type that this route does not read."""

    status = 415
    title = "Unsupported media type"

    def __init__(self, given: str, accepted: str) -> None:
        message = f"the body is {given}, not {accepted}"
        super().__init__("UnsupportedMediaType", message, f"send Content-Type: {accepted}")


class PreconditionFailed(CadreError):  # noqa: N818
    """If-Match or If-None-Match does not hold (RFC 9110, 13.1)."""

    status = 412
    title = "Precondition failed"

    def __init__(self, message: str) -> None:
        super().__init__("PreconditionFailed", message, "read it again; its ETag is what If-Match takes")


class BodyTooLarge(CadreError):  # noqa: N818
    """The body exceeds the route's limit in bytes."""

    status = 413
    title = "Body too large"

    def __init__(self, limit: int) -> None:
        super().__init__("BodyTooLarge", f"the body is larger than {limit} bytes", "send less in one call")


class GrantDisabled(CadreError):  # noqa: N818
    """A grant that this controller does not take: a desktop's in a cluster, a cluster's on a desktop."""

    status = 403
    title = "Grant disabled"

    def __init__(self) -> None:
        super().__init__(
            "GrantDisabled",
            "this grant is not enabled on this controller",
            "on a laptop start it with CADRE_DESKTOP=1; in a cluster sign in with cadre login",
        )


class ShuttingDown(CadreError):  # noqa: N818
    """The controller is stopping; another replica or the next start will answer."""

    status = 503
    title = "Shutting down"
    retry_after = 1.0

    def __init__(self) -> None:
        super().__init__("ShuttingDown", "the controller is stopping", "retry in a second")


class UpstreamFailed(CadreError):  # noqa: N818
    """A model provider or tool server did not do its part; it may be retried."""

    status = 502
    title = "Upstream failed"


class UpstreamBusy(CadreError):  # noqa: N818
    """No model is usable now; `retry_after` in seconds."""

    status = 503
    title = "No model is usable now"

    def __init__(self, reason: str, message: str, fix: str, retry_after: float = 5.0) -> None:
        super().__init__(reason, message, fix)
        self.retry_after = retry_after

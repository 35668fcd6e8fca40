"""What can go wrong between us and a provider, told so that the guard knows whether the turn is lost."""

import json


class ModelFault(Exception):  # noqa: N818
    """A model call failed at the provider; `retryable` until the first byte went out, `retry_after` in
    seconds, `fix` where something else helps than another model.
    """

    def __init__(
        self, reason: str, message: str, *, retryable: bool = True, retry_after: float = 0.0, fix: str = ""
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retryable = retryable
        self.retry_after = retry_after
        self.fix = fix


def error_event(fault: ModelFault, *, lines: bool = False) -> bytes:
    """The fault as a stream's last event in the shape OpenAI clients raise on, or as a last line."""
    error = {"message": fault.message, "type": "upstream_error", "code": fault.reason, "reason": fault.reason}
    frame = json.dumps({"error": error, "reason": fault.reason}).encode()
    return frame + b"\n" if lines else b"data: " + frame + b"\n\n"

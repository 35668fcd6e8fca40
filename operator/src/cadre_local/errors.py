"""One kind of error that people see: what went wrong, what to do, and the exit code scripts branch on."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every `cadre` command."""

    OK = 0
    REFUSED = 1
    """Invalid input, or the answer was no."""
    USAGE = 2
    UNREACHABLE = 3
    CONFLICT = 4
    TASK_FAILED = 5
    """The task ended, but not in success."""
    TIMED_OUT = 6
    INTERRUPTED = 130


class CadreError(Exception):
    """An expected failure; printed as one line `Reason: message → fix`."""

    def __init__(self, reason: str, message: str, fix: str = "", code: Exit = Exit.REFUSED) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.fix = fix
        self.code = code

    def line(self) -> str:
        """Everything on one line."""
        return f"{self.reason}: {self.message}" + (f" → {self.fix}" if self.fix else "")

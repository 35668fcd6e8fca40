"""`python -m cadre_local.supervise OPTIONS`: the detached supervisor that `cadre up` leaves behind."""

import asyncio
import json
import logging
import sys

from typing_extensions import override

from cadre_local.errors import CadreError
from cadre_local.supervise.options import UpOptions
from cadre_local.supervise.supervisor import Supervisor


class _JsonLines(logging.Formatter):
    """One JSON object a line: constant message, variable parts as fields."""

    _standard = frozenset(vars(logging.makeLogRecord({})))

    @override
    def format(self, record: logging.LogRecord) -> str:
        extra = {key: value for key, value in vars(record).items() if key not in self._standard}
        entry = {
            "at": self.formatTime(record),
            "level": record.levelname,
            "message": record.getMessage(),
            **extra,
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def configure_logging() -> None:
    """JSON lines on standard error, which is the log file."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def main(argv: list[str]) -> int:
    """Supervise until a signal comes; returns the exit code."""
    configure_logging()
    options = UpOptions.model_validate_json(argv[1])
    try:
        return int(asyncio.run(Supervisor(options).run()))
    except CadreError as error:
        sys.stderr.write(error.line() + "\n")
        return int(error.code)


if __name__ == "__main__":
    sys.exit(main(sys.argv))

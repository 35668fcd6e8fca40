"""A process that commits audit events of one tenant through its own committer, as a controller replica does.

It says `ready`, waits for a line, writes for some seconds, and says what it did.
"""

import asyncio
import json
import logging
import sys
import time
from datetime import UTC, datetime

import uvloop

from cadre_controller.ids import SortableIds
from cadre_controller.store.committer import Committer
from cadre_controller.store.wakeups import Wakeups
from cadre_controller.store.work import AuditEntry, Work
from cadre_core.audit import AuditActor, AuditRecord

_CALLERS = 64
_PER_WORK = 2


class Aborted(logging.Handler):
    """Counts flushes that had to be repeated."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """One more, if it is about a flush."""
        self.count += "repeated" in record.msg or "lost" in record.msg


def _entry(ids: SortableIds, tenant: str) -> AuditEntry:
    event, at = ids.new("evt"), datetime.now(UTC)
    actor = AuditActor("System", "system:bench", "")
    record = AuditRecord(event, at, tenant, actor, "bench.write", "bench:1", "ok")
    return AuditEntry(record, tenant, event, at, actor.id, record.action, record.target, "ok", "", {})


async def main(dsn: str, tenant: str, seconds: float) -> None:
    """Write from many callers at once."""
    aborted, ids = Aborted(), SortableIds()
    log = logging.getLogger("cadre_controller.store.committer")
    log.setLevel(logging.INFO)
    log.addHandler(aborted)
    committer = Committer(dsn, Wakeups(), ids)
    await committer.start()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    done, ends = 0, time.perf_counter() + seconds

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < ends:
            await committer.submit(Work(tenant, audit=tuple(_entry(ids, tenant) for _ in range(_PER_WORK))))
            done += _PER_WORK

    begin = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(_CALLERS)))
    took = time.perf_counter() - begin
    await committer.stop()
    print(json.dumps({"events": done, "seconds": took, "aborted": aborted.count}), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))

"""Run by the environment of the conformance suite: our checkpointer against a controller at CADRE_URL."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator

from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.report import ProgressCallbacks

from cadre_langgraph import CadreSaver, StateStore

STORE = StateStore(os.environ["CADRE_URL"], os.environ["CADRE_SCOPE"], os.environ["CADRE_TOKEN"])


@checkpointer_test(name="CadreSaver")
async def cadre_saver() -> AsyncIterator[CadreSaver]:
    """A saver on an empty scope."""
    yield CadreSaver(STORE)
    await asyncio.to_thread(STORE.remove, "lg/")


async def main() -> int:
    """0 when every capability passes, base and extended."""
    report = await validate(cadre_saver, progress=ProgressCallbacks.verbose())
    report.print_report()
    return int(not report.passed_all())


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

"""The rival's side of the workflow bench; runs in an environment of its own and imports nothing of ours."""

import asyncio
import json
import os
import sys
import time

from dbos import DBOS, DBOSConfig

WARM = 20


@DBOS.step()
async def step(text: str) -> str:
    """A step whose result is recorded."""
    return text + "x"


@DBOS.workflow()
async def flow(text: str) -> str:
    """Three steps, one after the other."""
    for _ in range(3):
        text = await step(text)
    return text


async def measure(count: int, together: int) -> dict[str, object]:
    """Runs with so many at once."""
    todo, latencies = iter(range(count)), []

    async def caller() -> None:
        for number in todo:
            begin = time.perf_counter()
            await flow(str(number))
            latencies.append(time.perf_counter() - begin)

    begin = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(together)))
    return {"seconds": time.perf_counter() - begin, "latencies": latencies}


async def main(count: int) -> list[dict[str, object]]:
    """One at a time, then sixteen."""
    await measure(WARM, 1)
    return [await measure(count, together) for together in (1, 16)]


if __name__ == "__main__":
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": os.environ["DSN"],
        "run_admin_server": False,
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()
    print(json.dumps(asyncio.run(main(int(sys.argv[1])))), flush=True)
    DBOS.destroy()

"""One torture: start everything, let it work while it is killed, let it come to rest, check."""

import asyncio
import itertools
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import asyncpg

from tests.support.ports import free_port
from tests.support.postgres import Server, fresh_database, open_server
from tests.support.scripted import scripted_in_thread
from tests.torture.checker import check, check_chain
from tests.torture.client import Link
from tests.torture.company import CLERK, HEAD, agents, chart
from tests.torture.facts import OPEN_TASKS, Violation, gather
from tests.torture.guards import Guard
from tests.torture.history import History, Ledger
from tests.torture.people import Approver, Submitter, sign_in
from tests.torture.plan import Kill, kill_plan
from tests.torture.processes import Controller, Postgres, write_secrets
from tests.torture.standby import Standby, standby_of

HERE = Path(__file__).parent
DESK = HERE.parent / "integration" / "controller" / "desk.py"
PROGRESS = 15
"""Events that are seen between two kills, so that each one hits work in progress."""
REST_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    kills: int
    guards: int = 100
    submitters: int = 6
    pause: float = 0.4
    failover: bool = False
    """The primary is lost for good, amid the kills."""


@dataclass
class Torture:
    """The parties of one run."""

    seed: int
    size: Size
    root: Path
    dsn: str
    postgres: Postgres
    controllers: tuple[Controller, ...]
    http: aiohttp.ClientSession
    history: History = field(default_factory=History)
    ledger: Ledger = field(default_factory=Ledger)
    guards: list[Guard] = field(default_factory=list)

    def link(self, *, guard: bool = False) -> Link:
        """A client of either controller."""
        ports = [c.guard if guard else c.public for c in self.controllers]
        chance = random.Random(f"{self.seed}/link/{len(self.guards)}")
        return Link(self.http, [f"http://{port}" for port in ports], chance)

    async def run(self, text: str) -> list[Violation]:
        """Work, kills, rest, check."""
        for controller in self.controllers:
            controller.start()
        admin = self.link()
        await sign_in(admin)
        applied = await admin.post("/api/v1/apply", {"documents": [{"file": "chart.yaml", "text": text}]})
        assert applied.status == 200, applied.text
        parties = Parties(self.size.submitters)
        try:
            await self._invite(parties)
            await self._kills()
            await parties.stop_asking()
            rested = await self._rest()
        finally:
            await parties.end()
        found = check(await gather(self.dsn, self.root / "desk.log"), self.ledger)
        found += [
            Violation(f"process {pid} outlived its controller")
            for c in self.controllers
            for pid in c.orphans()
        ]
        signed = await admin.get("/api/v1/audit/checkpoint")
        exported = await admin.get("/api/v1/audit/export")
        found += await check_chain(exported.text, str(signed.body["jws"]), self.root)
        return found if rested else [Violation(f"nothing came to rest in {REST_SECONDS} s"), *found]

    async def _invite(self, parties: "Parties") -> None:
        keys = agents(self.size.guards)
        for key in keys:
            guard = Guard(key, self.link(guard=True), self.history, self.ledger, self.seed)
            self.guards.append(guard)
            parties.works(guard.run())
        approver = self.link()
        await sign_in(approver, HEAD)
        parties.works(Approver(HEAD, approver, self.history, self.ledger, self.seed).run())
        for number in range(self.size.submitters):
            link = self.link()
            await sign_in(link, CLERK)
            one = Submitter(f"{CLERK}-{number}", link, keys, self.history, self.ledger, self.seed)
            parties.asks(one.run(parties.numbers, self.size.pause))

    async def _kills(self) -> None:
        """One kill after the other, each only when work is in progress again."""
        chance = random.Random(f"{self.seed}/chaos")
        for kill in kill_plan(self.seed, self.size.kills, failover=self.size.failover):
            await self._progress()
            await asyncio.sleep(chance.uniform(0, 0.5))
            await self._kill(kill, chance)
            for controller in self.controllers:
                if not controller.running:
                    controller.start()

    async def _kill(self, kill: Kill, chance: random.Random) -> None:
        self.history.add("chaos", f"kill {kill}")
        match kill:
            case Kill.CONTROLLER:
                chance.choice(self.controllers).kill()
            case Kill.GUARDS:
                for guard in chance.sample(self.guards, max(1, len(self.guards) // 5)):
                    guard.kill()
            case Kill.POSTGRES:
                await self.postgres.kill()
            case Kill.BACKEND:
                await self.postgres.kill_backend(chance)
            case Kill.FAILOVER:
                await self.postgres.fail_over()

    async def _progress(self) -> None:
        done = len(self.history.lines)
        async with asyncio.timeout(REST_SECONDS):
            while len(self.history.lines) < done + PROGRESS:
                await asyncio.sleep(0.05)

    async def _rest(self) -> bool:
        """Until nothing is open any more; false when that takes too long."""
        try:
            async with asyncio.timeout(REST_SECONDS):
                while await self._open():
                    await asyncio.sleep(0.3)
        except TimeoutError:
            return False
        return True

    async def _open(self) -> int:
        connection = await asyncpg.connect(self.dsn)
        try:
            return int(await connection.fetchval(_OPEN, OPEN_TASKS))
        finally:
            await connection.close()


_OPEN = """
SELECT (SELECT count(*) FROM tasks WHERE state = ANY ($1))
     + (SELECT count(*) FROM messages WHERE state IN ('Pending', 'Delivered'))
     + (SELECT count(*) FROM executions WHERE state IN ('Running', 'Stopping'))
     + (SELECT count(*) FROM model_calls WHERE state = 'Reserved')
"""


class Parties:
    """Those who ask, and those who work until all is done."""

    def __init__(self, most: int) -> None:
        self.numbers: asyncio.Queue[int] = asyncio.Queue(maxsize=most)
        self._asking: list[asyncio.Task[None]] = []
        self._lasting: list[asyncio.Task[None]] = []
        self.asks(self._number())

    def asks(self, work: Coroutine[object, object, None]) -> None:
        """Somebody who stops asking when the kills are over."""
        self._asking.append(asyncio.create_task(work))

    def works(self, work: Coroutine[object, object, None]) -> None:
        """Somebody who goes on until all is done."""
        self._lasting.append(asyncio.create_task(work))

    async def stop_asking(self) -> None:
        """What was asked and not answered may have happened or not."""
        await _end(self._asking)

    async def end(self) -> None:
        """Everybody goes home."""
        await _end([*self._asking, *self._lasting])

    async def _number(self) -> None:
        for number in itertools.count(1):
            await self.numbers.put(number)


async def _end(tasks: Sequence["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    for found in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(found, Exception):
            raise found


@contextmanager
def _desk(log: Path) -> Iterator[str]:
    """The tool server, whose log says what really happened."""
    port = free_port()
    command = [sys.executable, str(DESK), str(port), "json", "stateless"]
    process = subprocess.Popen(command, env={"PATH": "", "DESK_LOG": str(log)})
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def _controllers(root: Path, dsn: str, model: str) -> AsyncIterator[tuple[Controller, ...]]:
    both = tuple(Controller(root, dsn, model, name) for name in ("left", "right"))
    try:
        yield both
    finally:
        for controller in both:
            controller.stop()
            controller.kill()


async def torture(seed: int, size: Size, root: Path, server: Server) -> tuple[list[Violation], Torture]:
    """One run on a fresh database of this server."""
    keys = agents(size.guards)
    write_secrets(root, keys)
    timeout, connector = aiohttp.ClientTimeout(total=30), aiohttp.TCPConnector(limit=0)
    with (
        fresh_database(server) as database,
        _perhaps(standby_of(server) if size.failover else None) as standby,
        scripted_in_thread(HERE / "scenario.yaml") as model,
        _desk(root / "desk.log") as desk,
    ):
        dsn = database if standby is None else standby.either(database)
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector) as http,
            _controllers(root, dsn, model.url) as controllers,
        ):
            postgres = Postgres(server, standby)
            run = Torture(seed, size, root, dsn, postgres, controllers, http)
            try:
                return await run.run(chart(size.guards, model.url, desk)), run
            finally:
                if postgres.failed_over and server.crash is not None:
                    await asyncio.to_thread(server.crash)  # so that whoever started it can end it


@contextmanager
def _perhaps(standby: AbstractContextManager[Standby] | None) -> Iterator[Standby | None]:
    if standby is None:
        yield None
        return
    with standby as started:
        yield started


@contextmanager
def server() -> Iterator[Server]:
    """A Postgres of its own, which may be killed."""
    with open_server("embedded") as opened:
        yield opened

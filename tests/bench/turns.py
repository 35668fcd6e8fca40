"""The real way of a model call: tasks submitted, leases held by a guard, streams through both."""

import json
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.request import urlopen

import psutil

from cadre_api.protocol.tasks import TaskCreate
from tests.bench import texts
from tests.bench.analyzer import Analyzing
from tests.bench.processes import BenchError, listening
from tests.bench.reading import Asking
from tests.bench.stand import REQUESTER, Stand

AGENT = "acme/finance-1"
_CLAIM_WITHIN = 30.0


@dataclass(frozen=True)
class Guarded:
    """A guard that holds turns."""

    url: str
    process: psutil.Process
    tasks: tuple[str, ...]

    def asking(self, number: int, body: dict[str, object]) -> Asking:
        """A chat request in one of its turns."""
        task = self.tasks[number % len(self.tasks)]
        return Asking(f"{self.url}/v1/chat/completions", encoded(body), {"agent-session-id": task})


@contextmanager
def guarded(stand: Stand, turns: int, analyzer: Analyzing | None = None) -> Iterator[Guarded]:
    """Submit tasks for one agent and have its guard hold them all; an analyzer may read for it."""
    tasks = _submit(stand, turns)
    arguments = [stand.guard_url, AGENT, str(stand.bootstrap(AGENT))]
    if analyzer is not None:
        arguments += [analyzer.url, str(analyzer.authority)]
    with listening("tests.bench.guard_program", *arguments) as (port, process):
        url = f"http://127.0.0.1:{port}"
        ends = time.monotonic() + _CLAIM_WITHIN
        while (held := _held(url)) < turns:
            if time.monotonic() > ends:
                raise BenchError(f"the guard holds {held} of {turns} turns")
            time.sleep(0.1)
        yield Guarded(url, process, tasks)


def request_with(
    rng: random.Random, size: int, text: Callable[[int, int], str] = texts.dense
) -> dict[str, object]:
    """A chat request of about `size` bytes whose last message names two persons and an account."""
    named = f"Compare {texts.name(rng)} ({texts.iban(rng)}) with {texts.name(rng)} ({texts.email(rng)})."
    return texts.chat([text(rng.randrange(10**6), size), "Understood.", named])


def direct(url: str, body: dict[str, object]) -> Asking:
    """The same request straight to a model, or to a proxy before it."""
    return Asking(f"{url}/v1/chat/completions", encoded(body))


def encoded(body: dict[str, object]) -> bytes:
    """As clients write it."""
    return json.dumps(body).encode()


def _submit(stand: Stand, count: int) -> tuple[str, ...]:
    api, rng = stand.api(REQUESTER), random.Random(11)
    prompts = [f"Write to {texts.name(rng)} about {texts.prose_sentence(rng)}" for _ in range(count)]

    def submit(prompt: str) -> str:
        return api.create_task(TaskCreate(prompt=prompt, agent=AGENT)).id

    with ThreadPoolExecutor(8) as pool:
        return tuple(pool.map(submit, prompts))


def _held(url: str) -> int:
    with urlopen(f"{url}/held", timeout=10) as answer:
        return int(answer.read())

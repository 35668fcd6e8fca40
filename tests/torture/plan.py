"""What is asked for, drawn from a seed: the same seed gives the same workload and the same order of kills."""

import random
from dataclasses import dataclass
from enum import StrEnum

LARGE = 100_000
"""From here on an amount needs an approval; below it the amount is the task's number."""


class Step(StrEnum):
    """What a guard does while it holds a task; in the task's context, so that each attempt does it."""

    MODEL = "model"
    BOOK = "book"
    BOOK_LARGE = "large"
    WIRE = "wire"
    NOTE = "note"
    CRASH = "crash"
    """The guard dies here, in the first attempt."""
    FAIL = "fail"
    """The first attempt fails."""


class Kill(StrEnum):
    """What is killed with -9."""

    CONTROLLER = "controller"
    GUARDS = "guards"
    POSTGRES = "postgres"
    BACKEND = "backend"
    """One process of Postgres, which makes it restart all of them."""
    FAILOVER = "failover"
    """The primary for good; its synchronous standby takes over."""


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """One task: who gets it, what is done with it, and how often it is asked for."""

    number: int
    agent: str
    steps: tuple[Step, ...]
    repeated: bool
    cancelled: bool
    flow: bool
    """A run of the workflow is begun too."""


def task_plan(seed: int, number: int, agents: list[str]) -> TaskPlan:
    """The task with this number."""
    chance = random.Random(f"{seed}/task/{number}")
    usual = (Step.MODEL, Step.BOOK, Step.NOTE, Step.WIRE)
    steps = [step for step in usual if chance.random() < 0.4]
    if chance.random() < 0.15:
        steps.append(Step.BOOK_LARGE)
    if chance.random() < 0.1:
        steps.insert(chance.randrange(len(steps) + 1), chance.choice((Step.CRASH, Step.FAIL)))
    agent = chance.choice(agents) if chance.random() < 0.7 else ""
    repeated, cancelled, flow = (chance.random() < share for share in (0.3, 0.05, 0.2))
    return TaskPlan(number, agent, tuple(steps), repeated, cancelled, flow)


def kill_plan(seed: int, kills: int, *, failover: bool = False) -> list[Kill]:
    """The order of kills: all kinds in turn, shuffled; the failover, if there is one, amid them."""
    chance = random.Random(f"{seed}/kills")
    usual = [kill for kill in Kill if kill is not Kill.FAILOVER]
    kinds = [usual[n % len(usual)] for n in range(kills - failover)]
    chance.shuffle(kinds)
    return [*kinds[: kills // 2], *[Kill.FAILOVER] * failover, *kinds[kills // 2 :]]

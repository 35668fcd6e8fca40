"""Refusals that wait for news, and news that end them."""

import pytest

from cadre_operator.admission.lag import PATIENCE_SECONDS, patiently, with_news
from cadre_operator.admission.review import RefusedError
from cadre_operator.admission.stamps import HELD
from cadre_operator.keys import Key
from tests.unit.operator.company import body, chart, entries

STATE = chart(entries())
NODE = Key("OrgNode", "co", "new")


def clock(step: float) -> "list[float]":
    """Return the time that passes with each look at the clock."""
    return [step * i for i in range(100, 0, -1)]


def test_what_no_compilation_saw_counts_unless_it_is_held() -> None:
    written = body("OrgNode", "new", {"type": "Team", "title": "T", "parentRef": {"name": "root"}})
    held = body("OrgNode", "held", {"type": "Team", "title": "T"}, annotations={HELD: "x"})
    state = with_news(STATE, entries(written, held))
    assert state is not None
    assert state.models.keys() - STATE.models.keys() == {NODE}
    assert with_news(STATE, entries()) is STATE
    assert with_news(None, entries()) is None


@pytest.mark.parametrize(
    ("reason", "tries"), [("DanglingReference", 3), ("NoProfile", 3), ("NotEntitled", 1)]
)
async def test_a_refusal_that_may_pass_is_judged_again(reason: str, tries: int) -> None:
    asked: list[int] = []

    async def judge() -> str:
        asked.append(1)
        if len(asked) < 3:
            raise RefusedError(reason, "no")
        return "yes"

    if tries == 1:
        with pytest.raises(RefusedError):
            await patiently(judge, clock(0.01).pop, 10)
    else:
        assert await patiently(judge, clock(0.01).pop, 10) == "yes"
    assert len(asked) == tries


@pytest.mark.parametrize(("seconds", "review"), [(PATIENCE_SECONDS, 30), (0.4, 2)])
async def test_patience_ends_before_the_server_gives_up(seconds: float, review: float) -> None:
    async def judge() -> str:
        raise RefusedError("DanglingReference", "no")

    with pytest.raises(RefusedError):
        await patiently(judge, clock(seconds).pop, review)

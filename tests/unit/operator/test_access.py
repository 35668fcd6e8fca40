"""Who may found a company: asked of the API server, believed for seconds, and never guessed."""

import pytest

from cadre_operator.admission.access import BELIEVED_SECONDS, AccessReviews
from cadre_operator.admission.review import RefusedError
from cadre_operator.kube.fields import Json
from cadre_operator.kube.port import KubeError
from tests.unit.operator.fakes import Clock, MemoryKube


class Rules(MemoryKube):
    """A cluster that answers access reviews."""

    allowed = True
    asked = 0

    async def create(self, obj: Json) -> Json:
        """Answer."""
        self.asked += 1
        if self.failing is not None:
            raise self.failing
        return {**obj, "status": {"allowed": self.allowed}}


ADA: Json = {"username": "ada", "groups": ["staff"]}


async def test_a_yes_is_believed_for_seconds_and_for_nobody_else() -> None:
    rules, clock = Rules(), Clock()
    access = AccessReviews(rules, clock)
    assert await access.may_create_tenants(ADA) and await access.may_create_tenants(ADA)
    assert rules.asked == 1
    rules.allowed = False
    assert not await access.may_create_tenants({**ADA, "groups": ["guests"]})
    clock.turn(BELIEVED_SECONDS + 0.1)
    assert not await access.may_create_tenants(ADA)


async def test_a_no_is_asked_anew() -> None:
    rules = Rules()
    access = AccessReviews(rules, Clock())
    rules.allowed = False
    assert not await access.may_create_tenants(ADA)
    rules.allowed = True
    assert await access.may_create_tenants(ADA)


async def test_without_an_answer_nobody_is_told_what_he_may_not() -> None:
    rules = Rules(failing=KubeError("too slow"))
    with pytest.raises(RefusedError, match="Unavailable: the API server did not say") as caught:
        await AccessReviews(rules, Clock()).may_create_tenants(ADA)
    assert caught.value.code == 503

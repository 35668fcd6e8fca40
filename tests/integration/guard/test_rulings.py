"""What a person ruled reaches a running guard in its bundle: in the middle of a session, caches and all."""

import asyncio
from datetime import UTC, datetime, timedelta

from cadre_api.protocol.guard import GuardRules
from tests.integration.guard.ports import Ports

NAME, OTHER = "hanna.keller@acme.example", "quiet harbour"
TEXT = f"Write to {NAME} at the {OTHER}."


async def _use(ports: Ports, **rules: object) -> None:
    """Another bundle comes with these rules."""
    guard = GuardRules.model_validate(ports.turn.bundle.guard.model_dump() | rules)
    await ports.masker.use(ports.turn.bundle.model_copy(update={"guard": guard}))


async def _masked(ports: Ports) -> str:
    document = (await ports.masker.mask_text(ports.turn.pairs, TEXT)).document
    assert isinstance(document, str)
    return document


def _ruled(text: str, kind: str, seconds: float) -> dict[str, object]:
    return {"text": text, "entity_type": kind, "until": datetime.now(UTC) + timedelta(seconds=seconds)}


async def test_a_release_holds_at_once_and_ends_in_time(ports: Ports) -> None:
    assert NAME not in await _masked(ports)
    await _use(ports, released=[_ruled(NAME, "EMAIL_ADDRESS", 3600)])
    assert await _masked(ports) == TEXT
    await _use(ports, released=[_ruled(NAME, "PERSON", 3600)])
    assert NAME not in await _masked(ports)
    await _use(ports, released=[_ruled(NAME, "EMAIL_ADDRESS", 5)])
    async with asyncio.timeout(60):
        while await _masked(ports) == TEXT:  # no new bundle says that it is over
            await asyncio.sleep(0.1)
    assert NAME not in await _masked(ports)
    assert (await ports.masker.findings(TEXT))[0]["type"] == "EMAIL_ADDRESS"  # type: ignore[index,call-overload]


async def test_an_addition_holds_at_once_in_what_was_read_before(ports: Ports) -> None:
    assert OTHER in await _masked(ports)
    await _use(ports, added=[_ruled(OTHER, "PROJECT", 3600)])
    masked = await _masked(ports)
    assert OTHER not in masked
    assert ports.masker.restore_text(ports.turn.pairs, masked).count(NAME) == 1

"""Analysis in worker processes: right answers, bounded waiting, and no pass for a text nobody read."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from cadre_detect import DetectConfig, DetectionError, Recognizer, SpanCache
from cadre_guard.analysis import pool as pool_module
from cadre_guard.analysis.pool import AnalysisPool

CONFIG = DetectConfig(ner=False)
TEXT = "mail a.b@corp.example"


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[AnalysisPool]:
    made = AnalysisPool(SpanCache(b"k" * 32))
    yield made
    made.close()


async def _kinds(pool: AnalysisPool, text: str, config: DetectConfig = CONFIG) -> list[str]:
    found = await pool.scan(config, [(text, True)])
    return [finding.entity_type for finding in found[text, True]]


async def test_texts_are_scanned_once(pool: AnalysisPool) -> None:
    assert await _kinds(pool, TEXT) == ["EMAIL_ADDRESS"]
    scanned = pool.counts.scanned
    assert await _kinds(pool, TEXT) == ["EMAIL_ADDRESS"]
    assert pool.counts.scanned == scanned


async def test_a_text_that_cannot_be_read_is_refused_and_the_rest_goes_on(pool: AnalysisPool) -> None:
    with pytest.raises(DetectionError):
        await _kinds(pool, "\ud800 a.b@corp.example")
    assert pool.counts.failures == 1
    assert await _kinds(pool, TEXT) == ["EMAIL_ADDRESS"]


async def test_a_new_configuration_reaches_the_worker(pool: AnalysisPool) -> None:
    own = DetectConfig(ner=False, recognizers=(Recognizer("case", r"C\d{4}", "CASE_FILE"),))
    assert await _kinds(pool, "C1234") == []
    assert await _kinds(pool, "C1234", own) == ["CASE_FILE"]
    bad = DetectConfig(recognizers=(Recognizer("bad", "(?=x)", "X"),))
    with pytest.raises(DetectionError, match="'bad'") as caught:
        await pool.prepare(bad)
    assert caught.value.reason == "RecognizerInvalid"
    assert await _kinds(pool, "C1234 again", own) == ["CASE_FILE"]


async def test_a_worker_that_dies_is_replaced(pool: AnalysisPool) -> None:
    await pool.prepare(CONFIG)
    (first,) = pool.pids()
    os.kill(first, signal.SIGKILL)
    assert await _kinds(pool, TEXT) == ["EMAIL_ADDRESS"]
    assert pool.pids() != [first]


async def test_a_worker_killed_in_the_middle_answers_after_all_or_refuses(pool: AnalysisPool) -> None:
    await pool.prepare(CONFIG)
    long = " ".join(f"u{n}@corp.example" for n in range(20_000))
    scan = asyncio.create_task(_kinds(pool, long))
    while not pool.waiting:
        await asyncio.sleep(0)
    for _ in range(2):
        while not pool.pids():
            await asyncio.sleep(0.01)
        os.kill(pool.pids()[0], signal.SIGKILL)
        await asyncio.sleep(0.05)
    try:
        assert len(await scan) == 20_000
    except DetectionError as error:
        assert error.reason == "DetectorDied"
    assert await _kinds(pool, TEXT) == ["EMAIL_ADDRESS"]


async def test_a_caller_that_leaves_does_not_spoil_the_next_answer(pool: AnalysisPool) -> None:
    await pool.prepare(CONFIG)
    (worker,) = pool.pids()
    scan = asyncio.create_task(_kinds(pool, "x " * 100_000))
    while not pool.waiting:
        await asyncio.sleep(0)
    scan.cancel()
    assert await _kinds(pool, TEXT) == ["EMAIL_ADDRESS"]
    assert pool.pids() == [worker]


async def test_too_much_work_is_refused(pool: AnalysisPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "MAX_WAITING", 1)
    await pool.prepare(CONFIG)
    first = asyncio.create_task(_kinds(pool, "y " * 50_000))
    while not pool.waiting:
        await asyncio.sleep(0)
    with pytest.raises(DetectionError) as caught:
        await _kinds(pool, TEXT)
    assert caught.value.reason == "GuardBusy"
    assert pool.counts.refused == 1
    assert await first == []

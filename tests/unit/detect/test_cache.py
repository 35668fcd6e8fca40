"""The span cache: same answer, no text kept, bounded."""

from __future__ import annotations

import dataclasses

import pytest

from cadre_detect import Detector, SpanCache
from tests.unit.detect.samples import CONFIG

KEY = b"0123456789abcdef"


def test_same_findings_from_the_cache() -> None:
    cache = SpanCache(KEY)
    detector = Detector(CONFIG, cache)
    first, second = (
        detector.scan("mail hanna.keller@acme.example"),
        detector.scan("mail hanna.keller@acme.example"),
    )
    assert first == second != []
    assert (cache.hits, cache.misses, len(cache)) == (1, 1, 1)


def test_another_configuration_is_another_entry() -> None:
    cache = SpanCache(KEY)
    other = dataclasses.replace(CONFIG, allow_list=("hanna.keller@acme.example",))
    assert Detector(CONFIG, cache).scan("hanna.keller@acme.example") != []
    assert Detector(other, cache).scan("hanna.keller@acme.example") == []


def test_prose_and_keys_are_kept_apart() -> None:
    detector = Detector(CONFIG, SpanCache(KEY))
    assert detector.scan("Keller") != []
    assert detector.scan("Keller", prose=False) == []


def test_bounded_and_forgetful_of_the_oldest() -> None:
    cache = SpanCache(KEY, max_entries=2)
    for digest in (b"a", b"b"):
        cache.put(digest, ())
    cache.get(b"a")
    cache.put(b"c", ())
    assert [cache.get(digest) for digest in (b"a", b"b", b"c")] == [(), None, ()]


def test_digests_depend_on_the_key() -> None:
    assert SpanCache(KEY).digest(b"r", "t") != SpanCache(KEY[::-1]).digest(b"r", "t")
    with pytest.raises(ValueError, match="16 to 64"):
        SpanCache(b"short")

"""Restarts slow down, and a healthy minute is forgiven; time is an argument."""

from cadre_local.supervise.backoff import Backoff


def test_delays_double_up_to_the_ceiling() -> None:
    backoff = Backoff(first=0.5, factor=2, ceiling=8)
    assert [backoff.delay(0.1) for _ in range(7)] == [0.5, 1, 2, 4, 8, 8, 8]


def test_a_healthy_run_starts_over() -> None:
    backoff = Backoff(first=0.5, healthy_after=60)
    for _ in range(5):
        backoff.delay(1)
    assert backoff.delay(60) == 0.5
    assert backoff.delay(59.9) == 1.0


def test_thousands_of_failures_do_not_overflow() -> None:
    backoff = Backoff(failures=10_000)
    assert backoff.delay(0) == backoff.ceiling

"""The figures of the course as tables."""

from collections.abc import Iterator

from tests.bench.report import Cell, Table, times
from tests.bench.scale.course import Course


def tables(found: Course) -> Iterator[Table]:
    """Times against the bare loop; then what the operator needs for it."""
    yield _against_the_loop(found)
    yield _needs(found)


def _against_the_loop(found: Course) -> Table:
    burst, edit = _mean(found.bare_burst), _mean(found.bare_edit)
    cpu = _mean(found.bare_cpu)
    sent = found.agents * (1 + found.per_agent)
    runs = ", ".join(f"{one:.1f}" for one in found.bare_burst)
    rows: tuple[tuple[Cell, ...], ...] = (
        (
            "s until all were created and all their objects applied",
            found.burst,
            burst,
            times(found.burst, burst),
        ),
        ("CPU s of all programs for that", found.all_cpu, cpu, times(found.all_cpu, cpu)),
        ("s until one edit of their role was in all workloads", found.edit, edit, times(found.edit, edit)),
    )
    return Table(
        f"{found.agents:,} agents with {found.per_agent} objects each, on one API server",
        ("", "operator", "bare loop", "ratio"),
        rows,
        (
            "bare loop: the same objects server-side applied by the official client, 50 in flight",
            f"bare loop before and after the operator: {runs} s, {sent / burst:.0f} objects/s",
            f"the operator's time has admission in it (creating took {found.created:.1f} s) and statuses",
            "goal: 1.5x. No nodes: workloads get no pods, so no agent becomes Ready",
        ),
    )


def _needs(found: Course) -> Table:
    (none, base), *_, (most, full) = sorted(found.memory.items())
    per_thousand = (full - base) / (most - none) * 1000
    rows: tuple[tuple[Cell, ...], ...] = (
        ("writes per agent until all is quiet", found.writes),
        ("CPU ms of the operator per agent", 1e3 * found.cpu_burst / found.agents),
        *((f"memory MiB after a start with {count:,} agents", mib) for count, mib in found.memory.items()),
        ("memory MiB right after the burst", found.memory_after_burst),
        ("memory MiB per 1,000 agents", per_thousand),
        (f"s from a restart with {found.restart_objects:,} objects until all was looked at", found.restart),
        ("writes at that restart (Leases and questions aside)", len(found.restart_writes)),
    )
    return Table(
        "what the operator needs", ("", "figure"), rows, ("goal: 20 MiB per 1,000 agents, no writes",)
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)

"""What a bench prints: aligned tables of absolutes and ratios, and on which machine they were measured."""

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

Cell = str | int | float
_PACKAGES = ("aiohttp", "asyncpg", "spacy", "presidio-analyzer")


@dataclass(frozen=True)
class Table:
    """One result; `notes` say what a row cannot."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """Aligned columns: words left, numbers right."""
        cells = [self.columns, *([shown(cell) for cell in row] for row in self.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        numeric = [any(not isinstance(row[i], str) for row in self.rows) for i in range(len(self.columns))]
        lines = ["  ".join(_aligned(row, widths, numeric)).rstrip() for row in cells]
        return "\n".join([self.title, *(f"  {line}" for line in lines), *_wrapped(self.notes)])


@dataclass(frozen=True)
class Machine:
    """Where and when the figures were taken."""

    cpu: str
    cores: int
    python: str
    system: str
    load_at_start: float
    packages: dict[str, str] = field(default_factory=dict)

    def line(self) -> str:
        """Everything on one line."""
        packages = ", ".join(f"{name} {number}" for name, number in self.packages.items())
        return (
            f"{self.cpu}, {self.cores} cores, {self.system}, Python {self.python}, "
            f"load {self.load_at_start:.1f} at start; {packages}"
        )


def machine() -> Machine:
    """This machine, now."""
    return Machine(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release().split('-')[0]}",
        load_at_start=os.getloadavg()[0],
        packages={name: version(name) for name in _PACKAGES},
    )


def as_json(where: Machine, tables: Iterable[Table]) -> dict[str, object]:
    """The same for programs."""
    return {
        "format": "cadre-bench/1",
        "machine": asdict(where),
        "tables": [asdict(table) for table in tables],
    }


def shown(cell: Cell) -> str:
    """A number with three significant digits, thousands grouped."""
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def times(value: float, base: float) -> str:
    """`value` as a multiple of `base`."""
    return f"{shown(value / base)}x" if base > 0 else "-"


def percent(value: float, base: float) -> str:
    """`value` as a share of `base`."""
    return f"{100 * value / base:.0f} %" if base > 0 else "-"


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _aligned(row: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> list[str]:
    return [
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(row, widths, numeric, strict=True)
    ]


def _wrapped(notes: Iterable[str]) -> list[str]:
    return [f"  - {note}" for note in notes]

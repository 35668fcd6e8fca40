"""`python -m tests.bench [NAME …] [--json FILE]`: absolutes, and ratios to a ceiling or a rival.

The ceiling or rival is measured in the same run on the same machine; nothing here asserts a time.
"""

import argparse
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import FrameType

from tests.bench.processes import BenchError
from tests.bench.report import Table, as_json, machine

BENCHES = ("guard", "memory", "throughput", "submit", "streams", "scale")


def main(arguments: list[str] | None = None) -> int:
    """Run the named benches, all by default; 1 when one could not run."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _leave)
    where = machine()
    print(where.line(), flush=True)
    tables: list[Table] = []
    failed = False
    for name in options.benches or BENCHES:
        begin = time.monotonic()
        found: Iterable[Table] = importlib.import_module(f"tests.bench.{name}").run()
        try:
            for table in found:
                print("\n" + table.text(), flush=True)
                tables.append(table)
        except BenchError as error:
            print(f"\n{name}: cannot go on: {error}", flush=True)
            failed = True
        took, load = time.monotonic() - begin, os.getloadavg()[0]
        print(f"\n({name}: {took:.0f} s, load {load:.1f} at its end)", flush=True)
    if options.json:
        options.json.write_text(json.dumps(as_json(where, tables), indent=1) + "\n", encoding="utf-8")
    return int(failed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("benches", nargs="*", type=_bench, metavar="|".join(BENCHES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tables there too")
    return parser


def _bench(name: str) -> str:
    if name not in BENCHES:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(BENCHES)}")
    return name


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Leave through every `finally`, so that nothing stays behind."""
    raise SystemExit(143)


if __name__ == "__main__":
    sys.exit(main())

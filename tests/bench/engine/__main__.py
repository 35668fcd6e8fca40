"""`python -m tests.bench.engine [PART…]`: the work engine against its rivals, each on the same Postgres."""

import argparse
import importlib
import os
import sys

from tests.bench.engine import PARTS
from tests.bench.processes import BenchError
from tests.bench.report import machine


def main() -> int:
    """Run the named parts, all by default; 1 when one could not run."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.engine", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=(*PARTS, []), metavar="|".join(PARTS))
    failed = False
    print(machine().line(), flush=True)
    for name in parser.parse_args().parts or PARTS:
        try:
            for table in importlib.import_module(f"tests.bench.engine.{name}").run():
                print(f"\n{table.text()}\n  - load {os.getloadavg()[0]:.1f} at its end", flush=True)
        except BenchError as error:
            print(f"\n{name}: cannot go on: {error}", flush=True)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

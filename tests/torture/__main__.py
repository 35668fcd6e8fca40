"""`python -m tests.torture`: the system under random kills; ends with 1 and the history of what broke."""

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from tests.torture.report import told
from tests.torture.run import Size, server, torture


def main() -> int:
    """Run once and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--guards", type=int, default=100)
    parser.add_argument("--failover", action="store_true", help="also with less than 25 kills")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder, server() as postgres:
        size = Size(given.kills, given.guards, failover=given.failover or given.kills >= 25)
        violations, run = asyncio.run(torture(given.seed, size, Path(folder), postgres))
        print(told(violations, run))
    return int(bool(violations))


if __name__ == "__main__":
    sys.exit(main())

"""Everything before the first test on a cluster: packages, Docker, programs, images, the cluster itself.

`python -m tests.e2e.cluster.ready`: exit status 75 says that a cluster cannot be had on this machine, 1 that
something of this repository is broken. What was made stays in `.cache`: a second attempt goes on from there.
"""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.cluster import kind, machine
from tests.e2e.cluster.steps import StepFailedError, timed
from tests.support import images
from tests.support.gobuild import ProgramUnavailableError

UNAVAILABLE = os.EX_TEMPFAIL
_PAUSE = 20.0


def main() -> int:
    """Try it, and once more if that failed."""
    for last in (False, True):
        try:
            _make()
            return 0
        except (StepFailedError, ProgramUnavailableError, OSError) as error:
            outside = machine.outside(error)
            print(f"e2e: {error}", flush=True)
            if last:
                return UNAVAILABLE if outside else 1
        time.sleep(_PAUSE)
    return 1


def _make() -> None:
    kind.prepare_machine()
    with timed("all programs and images"), ThreadPoolExecutor(2) as pool:
        node = pool.submit(_node)
        built = pool.submit(images.build_all)
        node.result()
    cluster = kind.up()
    cluster.load(built.result())


def _node() -> None:
    if not os.environ.get(kind.GIVEN):
        kind.node_image()


if __name__ == "__main__":
    sys.exit(main())

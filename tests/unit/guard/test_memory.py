"""A process that has settled goes on as before."""

import subprocess
import sys

_CODE = """
import gc
from cadre_guard.memory import settle_memory, use_few_arenas
use_few_arenas()
kept = [object() for _ in range(1000)]
settle_memory()
print(gc.get_freeze_count() > 1000, len(kept))
"""


def test_what_was_loaded_is_never_looked_at_again() -> None:
    done = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "1000"]

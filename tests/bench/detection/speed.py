"""How long a text of a given size takes, with texts nobody has seen before, so that no cache answers."""

import random
from collections.abc import Sequence

from tests.bench.detection.contenders import Contender
from tests.bench.detection.generate import documents
from tests.bench.timing import Samples

SIZES_KB = (1, 4, 20)
RUNS = {1: 30, 4: 12, 20: 4}


def text_of(kilobytes: int, seed: int) -> str:
    """Generated documents, one after another, up to a size."""
    wanted, pieces, size = kilobytes * 1000, [], 0
    for document in documents(seed, "unseen", 40 + 10 * kilobytes):
        pieces.append(document.text)
        size += len(document.text) + 2
        if size >= wanted:
            break
    return "\n\n".join(pieces)[:wanted]


def measure(contenders: Sequence[Contender], seed: int) -> dict[int, list[Samples]]:
    """Samples by size for each contender; they take turns, so that other load meets all of them."""
    found: dict[int, list[Samples]] = {}
    rng = random.Random(seed)
    for size in SIZES_KB:
        samples = [Samples() for _ in contenders]
        for _ in range(RUNS[size]):
            text = text_of(size, rng.randint(10_000, 10**9))
            for contender, taken in zip(contenders, samples, strict=True):
                taken.measure(lambda contender=contender, text=text: contender(text))  # type: ignore[misc]
        found[size] = samples
    return found

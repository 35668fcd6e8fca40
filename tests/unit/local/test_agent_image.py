"""The agent's image and the desktop run the same goose."""

import re
from pathlib import Path

from cadre_local.goose import INTEGRITY, PINNED

DOCKERFILE = Path(__file__).parents[3] / "Dockerfile"


def test_image_pins_the_version_and_digest_of_the_desktop() -> None:
    """Who raises one and forgets the other is told."""
    pinned = dict(re.findall(r"^ARG (GOOSE_\w+)=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE))
    assert pinned["GOOSE_VERSION"] == ".".join(str(part) for part in PINNED)
    assert pinned["GOOSE_INTEGRITY"] == INTEGRITY["linux-x64"]

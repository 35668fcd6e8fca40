"""Documentation must not rot: every relative link in the Markdown files leads to a file that exists."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def broken_links() -> list[str]:
    """Return `file: target` of each relative link that leads nowhere."""
    names = subprocess.check_output(["git", "ls-files", "*.md"], cwd=ROOT, text=True).split()
    return [
        f"{name}: {target}"
        for name in names
        for target in LINK.findall((ROOT / name).read_text())
        if "://" not in target and not ((ROOT / name).parent / target).exists()
    ]


if __name__ == "__main__":
    problems = broken_links()
    print("\n".join(problems) or "all links lead somewhere")
    sys.exit(bool(problems))

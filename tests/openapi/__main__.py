"""`python -m tests.openapi`: schemathesis over both OpenAPI documents, against a running controller.

It lives in an environment of its own, so that nothing of Cadre depends on it. No operation may answer with a
5xx. What has somebody else behind it (model providers, span collectors) is left to the tests of those.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.bench.engine.place import rival
from tests.bench.stand import AGENTS, Stand, stand

VERSION = "4.32.5"
DOCUMENTS = Path(__file__).parents[2] / "docs" / "openapi"
_FREEZE = "/api/v1/freeze"
_NO_MODEL = 9
"""A port where nobody listens."""


@dataclass(frozen=True)
class Run:
    """One document against one port."""

    document: str
    url: str
    token: str
    seconds: int
    choice: tuple[str, ...] = ()


def main() -> int:
    """1 when something answered with a 5xx."""
    parser = argparse.ArgumentParser(prog="python -m tests.openapi", description=__doc__)
    parser.add_argument("--seconds", type=int, default=150, help="for everything together")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    given = parser.parse_args()
    program = rival(f"schemathesis-{VERSION}", f"schemathesis=={VERSION}").with_name("schemathesis")
    with stand(_NO_MODEL, concurrency=5) as made, tempfile.TemporaryDirectory() as folder:
        codes = [_examine(program, run, given.seed, Path(folder)) for run in _runs(made, given.seconds)]
        alive = urlopen(f"{made.public_url}/health", timeout=30).status == 200
    return int(any(codes) or not alive)


def _runs(made: Stand, seconds: int) -> Iterator[Run]:
    admin, person = made.api().http.token, made.api("acme/j-gross").http.token
    others = ("--exclude-path-regex", f"^{_FREEZE}")
    yield Run("public", made.public_url, admin, seconds * 4 // 10, others)
    yield Run("public", made.public_url, person, seconds * 2 // 10, others)
    behind = ("--exclude-path-regex", "^/guard/v1/(model|otlp)/")
    yield Run("guard", made.guard_url, _guard_token(made), seconds * 3 // 10, behind)
    yield Run("public", made.public_url, admin, seconds // 10, ("--include-path-regex", f"^{_FREEZE}"))


def _guard_token(made: Stand) -> str:
    proof = {"bootstrap": made.bootstrap(AGENTS[0]).read_text(), "agent": AGENTS[0], "instance": "examined"}
    request = Request(f"{made.guard_url}/guard/v1/token", json.dumps(proof).encode())
    request.add_header("Content-Type", "application/json")
    with urlopen(request, timeout=60) as reply:
        return str(json.load(reply)["token"])


def _examine(program: Path, run: Run, seed: int, folder: Path) -> int:
    document = json.loads((DOCUMENTS / f"{run.document}.json").read_text())
    file = folder / f"{run.document}.json"
    file.write_text(json.dumps(_impatient(document)))
    command = [
        str(program), "run", str(file), "--url", run.url, "--header", f"Authorization: Bearer {run.token}",
        "--checks", "not_a_server_error", "--phases", "coverage,fuzzing", "--max-time", str(run.seconds),
        "--seed", str(seed), "--continue-on-failure", "--request-timeout", "60", "--warnings", "off",
        "--suppress-health-check", "all", *run.choice,
    ]  # fmt: skip
    return subprocess.run(command, check=False, cwd=folder).returncode


def _impatient(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same, except that nobody waits for news."""

    def walked(value: Any) -> Any:
        if isinstance(value, list):
            return [walked(item) for item in value]
        if not isinstance(value, dict):
            return value
        found = {name: walked(inner) for name, inner in value.items()}
        for name in ("wait", "waitSeconds"):
            if isinstance(found.get(name), dict):
                found[name] |= {"maximum": 0}
        if found.get("in") == "query" and found.get("name") == "wait":
            found["schema"] |= {"maximum": 0}
        return found

    found: Mapping[str, Any] = walked(document)
    return found


if __name__ == "__main__":
    sys.exit(main())

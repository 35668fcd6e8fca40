"""`python -m tests.bench.leaks`: the running guard under pii-leak-benchmark, an examination that is not ours.

It sends values through a gateway to a server of its own, looks for them there, and looks at what comes back;
its second profile lets the model say values of its own, cut at every place. It lives in an environment of its
own, so that nothing of Cadre depends on it. A control without a guard must show the leak, or the examination
proves nothing. `chunk-invariance` (PyPI as well) then cuts the streams of every format at each byte.
"""

import json
import socket
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from tests.bench.cuts import Row, every_cut
from tests.bench.report import Table
from tests.support.standalone import standalone, write_guard_file

LOCK = Path(__file__).with_name("leaks.lock")
_HOME = Path(__file__).parents[2] / ".cache" / "pii-leak-benchmark-0.6.0"
_CLEAN, _LEAK = 0, 1
_SEED = "a1b2c3d4e5f60001"
_RULES = {"languageModel": False, "classes": [{"name": "CREDENTIALS", "action": "Mask"}]}


def main() -> int:
    """1 when one of the runs does not come out as it must."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        tools = _installed()
        for row in chain(_requests(tools, Path(folder)), _replies(tools, Path(folder)), every_cut()):
            print(f"{'ok ' if row.good else 'BAD'} {row.what}: {row.got}", flush=True)
            rows.append(row)
    print(
        "\n"
        + Table(
            "pii-leak-benchmark 0.6.0, chunk-invariance 0.2", ("run", "wanted", "got"), _cells(rows)
        ).text()
    )
    return int(not all(row.good for row in rows))


def _cells(rows: Sequence[Row]) -> tuple[tuple[str, ...], ...]:
    return tuple((row.what, row.wanted, row.got) for row in rows)


def _installed() -> Path:
    """Its programs, installed by the hashes of `leaks.lock`."""
    programs = _HOME / "bin"
    if not (programs / "pii-leak-benchmark-v2").exists():
        venv.create(_HOME, with_pip=True, clear=True)
        command = [str(programs / "python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
        subprocess.run([*command, "--requirement", str(LOCK)], check=True)
    return programs


def _requests(tools: Path, folder: Path) -> Iterator[Row]:
    """What leaves for the model, in each profile and duty of the first check."""
    yield _check(tools, "no guard at all", "capture://self", "LEAK")
    port = _free_port()
    for responses in ("Pass", "Mask"):
        file = write_guard_file(folder, f"http://127.0.0.1:{port}", guard=_RULES, responses=responses)
        with standalone(file) as guard:
            for profile in ("pii-v1", "pii-secrets-v1"):
                for duty in ("restore", "anonymize"):
                    what = f"{profile}, {duty}, responses: {responses}"
                    asked = ("--profile", profile, "--duty", duty, "--capture-port", str(port))
                    yield _check(tools, what, guard.url + "/v1", "CLEAN", *asked)


def _check(tools: Path, what: str, url: str, wanted: str, *options: str) -> Row:
    command = [str(tools / "pii-leak-benchmark"), "selfcheck", "--target-base-url", url, *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    verdict = {_CLEAN: "CLEAN", _LEAK: "LEAK"}.get(ended.returncode, "NOT MEASURED")
    if verdict == "LEAK" and "\n  LEAK\n" not in ended.stdout:
        verdict = "CHECK FAILED"
    return Row(what, wanted, verdict)


def _replies(tools: Path, folder: Path) -> Iterator[Row]:
    """What the model says on its own: taken out; what the client said: given back."""
    yield _split(tools, folder, "v2, no guard at all", "fidelity 0, leaks 1, 1", "--only", "passthrough")
    port = _free_port()
    file = write_guard_file(folder, f"http://127.0.0.1:{port}", guard=_RULES, responses="Mask")
    with standalone(file) as guard:
        gateway = ("--gateway-url", guard.url + "/v1/chat/completions", "--upstream-port", str(port))
        asked = ("--only", "cadre", "--seed", _SEED, "--validate", *gateway)
        for what, more in (("cut in the middle", "--partial-emission"), ("every cut", "--exhaustive-splits")):
            yield _split(tools, folder, f"v2, {what}", "fidelity 1, leaks 0, 0", *asked, more)


def _split(tools: Path, folder: Path, what: str, wanted: str, *options: str) -> Row:
    summary = folder / "summary.json"
    command = [str(tools / "pii-leak-benchmark-v2"), "--out", str(folder / "v2"), "--json-out", str(summary)]
    ended = subprocess.run([*command, *options], capture_output=True, text=True, timeout=900)
    if not summary.exists():
        return Row(what, wanted, f"it ended with {ended.returncode}")
    row = json.loads(summary.read_text())["rows"][0]
    summary.unlink()
    figures = [row[name] for name in ("fidelity_rate", "leak_single_chunk", "leak_adversarial")]
    got = "fidelity {:g}, leaks {:g}, {:g}".format(*figures)
    partial = sorted((folder / "v2").glob("*.partial-emission.json"))
    if partial and not json.loads(partial.pop().read_text())["passed"]:
        got += ", pieces of values"
    return Row(what, wanted, got if row["cases_applicable"] == row["cases_attempted"] else "not measured")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())

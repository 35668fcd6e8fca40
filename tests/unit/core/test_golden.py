"""What the example company compiles to, agent by agent, held against the reviewed result.

After a wanted change: CADRE_UPDATE_GOLDEN=1 pytest tests/unit/core/test_golden.py, then read the diff.
"""

import json
import os
from pathlib import Path

import pytest

from cadre_core.bundle import bundle_payload
from cadre_core.canonical import plain
from cadre_core.compile import compile_chart
from cadre_core.load import parse_documents
from cadre_core.model import EffectiveAgent, Snapshot

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden"
EXAMPLES = sorted(p for p in (ROOT / "examples").glob("[0-9]*") if p.is_dir())


def chart_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.yaml") if path.name != "kustomization.yaml")


def compiled(example: Path) -> Snapshot:
    files = chart_files(example) or chart_files(example / "base")
    resources, problems = parse_documents([(file.name, file.read_text(encoding="utf-8")) for file in files])
    result = compile_chart(resources)
    assert (*problems, *result.problems) == ()
    assert result.snapshot is not None
    return result.snapshot


def summary(snapshot: Snapshot) -> object:
    return plain(
        {
            "tenant": snapshot.tenant,
            "nodes": {key: "/".join(node.path) for key, node in snapshot.nodes.items()},
            "agents": {key: agent_summary(agent) for key, agent in snapshot.agents.items()},
            "rules": {rule.id: rule for rule in snapshot.rules},
        }
    )


def agent_summary(agent: EffectiveAgent) -> dict[str, object]:
    return {
        "path": agent.path,
        "profiles": agent.profile_lineage,
        "owner": agent.owner,
        "tools": [f"{t.name}: {t.server}/{t.tool} {t.effects}" for t in agent.tools],
        "models": {p: [f"{c.provider}/{c.model}" for c in found] for p, found in agent.models.items()},
        "guard": agent.guard,
        "extensions": agent.goose_extensions,
        "skills": agent.skills,
        "recipes": sorted(agent.recipes),
        "consent": agent.consent if agent.needs_consent else "Never",
        "lifecycle": agent.lifecycle,
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example(example: Path) -> None:
    found = json.dumps(summary(compiled(example)), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    golden = GOLDEN / f"{example.name}.json"
    if os.environ.get("CADRE_UPDATE_GOLDEN"):
        golden.write_text(found, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == found


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_agent_of_an_example_has_a_bundle(example: Path) -> None:
    snapshot = compiled(example)
    for key in snapshot.agents:
        assert json.dumps(bundle_payload(snapshot, key))

"""A small company in objects as the watches bring them."""

from cadre_api.v1alpha1 import Resource
from cadre_operator.chart.effective import counting
from cadre_operator.chart.evaluate import ChartState, evaluate
from cadre_operator.kube.fields import Json
from cadre_operator.watch.entries import Entry, entry_of

SEAL = b"k" * 32
_SPECS: dict[tuple[str, str], Json] = {
    ("Person", "boss"): {
        "identity": {"issuer": "https://idp", "subject": "boss"},
        "displayName": "Bo Ss",
    },
    ("Person", "lead"): {
        "identity": {"issuer": "https://idp", "subject": "lead"},
        "displayName": "Le Ad",
    },
    ("OrgNode", "co"): {
        "type": "Organization",
        "title": "Co",
        "members": [{"personRef": {"name": "boss"}, "roles": ["Head"]}],
        "profileRef": {"name": "base"},
        "agents": {"max": 5, "consent": "Never"},
    },
    ("OrgNode", "team"): {
        "type": "Team",
        "title": "Team",
        "parentRef": {"name": "co"},
        "members": [{"personRef": {"name": "lead"}, "roles": ["Head", "AgentRequester"]}],
    },
    ("ModelProvider", "local"): {
        "ollama": {"baseURL": "http://127.0.0.1:11434"},
        "models": [{"name": "m"}],
    },
    ("RoleProfile", "base"): {
        "title": "Base",
        "instructions": "Help.",
        "tools": [{"name": "mesh", "builtin": "Mesh"}],
        "models": {"work": [{"providerRef": {"name": "local"}, "model": "m"}]},
        "guard": {"clearance": ["INTERNAL"]},
    },
    ("Agent", "a-1"): {"nodeRef": {"name": "team"}, "purpose": "Test.", "ownerRef": {"name": "lead"}},
    ("Agent", "a-2"): {"nodeRef": {"name": "team"}, "purpose": "Test."},
}


def body(kind: str, name: str, spec: Json | None = None, **metadata: object) -> Json:
    """Return an object as the API server has it; `spec` changes members of the company's own."""
    own = _SPECS.get((kind, name), {})
    return {
        "apiVersion": "cadre.dev/v1alpha1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "co",
            "uid": f"uid-{name}",
            "generation": 1,
            "resourceVersion": "1",
            **metadata,
        },
        "spec": {**own, **(spec or {})},
    }


def entries(*changed: Json, without: tuple[str, ...] = ()) -> list[Entry]:
    """Return the company, with objects changed, added or left out."""
    mine = {(str(b["kind"]), str(b["metadata"]["name"])): b for b in changed}  # type: ignore[index]
    all_of_it = {name: body(*name) for name in _SPECS} | mine
    return [entry_of(found) for (_, name), found in all_of_it.items() if name not in without]


def chart(found: list[Entry], before: ChartState | None = None) -> ChartState:
    """Evaluate."""
    return evaluate("co", found, counting(found, SEAL), before)


def model(obj: Json) -> Resource:
    """Return an object's model."""
    found = entry_of(obj).model
    assert found is not None
    return found

"""What a guard is told, and what an agent runs as."""

import json

import pytest
import yaml

from cadre_api.protocol.guard import AgentBundle
from cadre_api.v1alpha1 import Agent
from cadre_core.bundle import bundle_payload
from cadre_core.canonical import digest
from cadre_core.goose_settings import goose_config_yaml
from cadre_core.load import parse_documents
from cadre_core.manifests import ClusterSettings, DesktopHost, agent_manifests, process_spec
from cadre_core.mesh import BUILTIN_TOOLS
from tests.unit.core.build import Docs, company, set_field, snapshot

SETTINGS = ClusterSettings("guard@sha256:1", "goose@sha256:2", "controller.cadre", "10.0.0.9")


def test_a_bundle_fits_the_wire_and_depends_on_the_chart_alone() -> None:
    payload = bundle_payload(snapshot(), "co/fin-1")
    times = {"issuedAt": "2026-01-01T00:00:00Z", "expiresAt": "2026-01-02T00:00:00Z"}
    bundle = AgentBundle.model_validate(payload | times | {"generation": 1, "digest": digest(payload)})
    assert json.loads(json.dumps(payload)) == payload
    assert payload == bundle_payload(snapshot(), "co/fin-1")
    assert {t.name: t.read_only for t in bundle.tools} == {
        "ledger_post": False,
        "ledger_read": True,
        "mesh_fetch_status": True,
        "mesh_notify": False,
        "mesh_request_approval": False,
        "mesh_send_task": False,
    }
    assert bundle.context_window == 32000
    assert bundle.clearance == ("FINANCIAL", "INTERNAL")
    assert bundle.guard.languages == ("en", "de")
    with pytest.raises(KeyError):
        bundle_payload(snapshot(), "co/none")


def test_people_are_terms_and_titles_of_nodes_are_not() -> None:
    guard = bundle_payload(snapshot(), "co/mkt-1")["guard"]
    terms = {(t["text"], t["entityType"]) for t in guard["terms"]}  # type: ignore[index]
    assert {("Cora Chief", "PERSON"), ("ceo@co.example", "EMAIL_ADDRESS")} <= terms
    assert not {text for text, _ in terms} & {"Finance", "The Company", "Marketing"}


def test_extensions_stay_out_of_the_gateway() -> None:
    entry = {"name": "dev", "gooseExtension": "developer", "allow": [{"tool": "write"}]}
    payload = bundle_payload(
        snapshot(set_field(company(), "RoleProfile/marketing", "tools", [entry])), "co/mkt-1"
    )
    assert payload["gooseExtensions"] == {"developer": ["write"]}
    assert all(not t["server"].startswith("goose:") for t in payload["tools"])  # type: ignore[attr-defined]


def test_the_window_of_unknown_models_is_a_default() -> None:
    narrow = {"models": [{"providerRef": {"name": "cloud"}}]}
    found = snapshot(set_field(company(), "Agent/mkt-1", "narrow", narrow))
    assert bundle_payload(found, "co/mkt-1")["contextWindow"] == 128_000


def test_goose_starts_with_nothing_but_what_was_opted_into() -> None:
    config = yaml.safe_load(goose_config_yaml(frozenset({"developer", "memory"})))["extensions"]
    assert {name for name, entry in config.items() if entry["enabled"]} == {"developer", "memory"}
    assert config["extensionmanager"]["name"] == "Extension Manager"
    assert len(config) == 9


def test_builtin_tools_have_closed_schemas() -> None:
    for tool in BUILTIN_TOOLS["Mesh"]:
        assert tool.input_schema["additionalProperties"] is False
        assert tool.description


def objects(docs: Docs, name: str = "fin-1") -> dict[str, dict]:
    resources, _ = parse_documents([("a.yaml", yaml.safe_dump(docs[f"Agent/{name}"]))])
    agent = resources.of(Agent)[f"co/{name}"]
    return {str(o["kind"]): o for o in agent_manifests(snapshot(docs), agent, SETTINGS)}  # type: ignore[misc]


def pod(docs: Docs) -> dict:
    return objects(docs)["StatefulSet"]["spec"]["template"]["spec"]


def test_the_pod_is_sealed() -> None:
    found = objects(company())
    policy = found["NetworkPolicy"]["spec"]
    assert (policy["policyTypes"], policy["ingress"]) == (["Ingress", "Egress"], [])
    assert [rule["ports"] for rule in policy["egress"]] == [[{"protocol": "TCP", "port": 7441}]]
    assert (
        policy["podSelector"]["matchLabels"].items()
        <= found["StatefulSet"]["spec"]["template"]["metadata"]["labels"].items()
    )
    assert found["ServiceAccount"]["automountServiceAccountToken"] is False
    spec = pod(company())
    assert (spec["dnsPolicy"], spec["automountServiceAccountToken"]) == ("None", False)
    assert spec["hostAliases"] == [{"ip": "10.0.0.9", "hostnames": ["controller.cadre"]}]


def test_only_the_guard_holds_an_identity() -> None:
    spec = pod(company())
    (guard,), (agent,) = spec["initContainers"], spec["containers"]
    assert guard["restartPolicy"] == "Always"
    assert "identity" in {m["name"] for m in guard["volumeMounts"]}
    assert not {"identity", "guard-state"} & {m["name"] for m in agent["volumeMounts"]}
    assert all(m["readOnly"] for m in agent["volumeMounts"] if m["name"] in {"shared", "shim", "config"})
    for container in (guard, agent):
        context = container["securityContext"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert (context["readOnlyRootFilesystem"], context["allowPrivilegeEscalation"]) == (True, False)
    mounted = {v["name"] for v in spec["volumes"]}
    assert {m["name"] for c in (guard, agent) for m in c["volumeMounts"]} <= mounted
    environment = {e["name"]: e["value"] for e in agent["env"]}
    assert environment["GOOSE_MODE"] == "approve"
    assert environment["OPENAI_BASE_PATH"] == "/v1/chat/completions"
    assert environment["GOOSE_CONTEXT_LIMIT"] == "32000"
    assert not [name for name in environment if "KEY" in name and name != "GOOSE_DISABLE_KEYRING"]


def test_the_agent_is_started_with_the_guards_keys_and_reached_as_it_speaks() -> None:
    docs = company()
    command = pod(docs)["containers"][0]["command"]
    assert command[:5] == ["/opt/cadre/cadre-shim", "run", "/run/cadre/agent.env", "--", "goose"]
    assert guard_environment(docs)["CADRE_AGENT_TRANSPORT"] == "Goose"
    assert guard_environment(docs)["CADRE_DRAIN_SECONDS"] == "1800"

    runtime = {"acp": {"image": "pi:1", "command": ["pi", "--acp"]}}
    set_field(docs, "Agent/fin-1", "runtime", runtime)
    command = pod(docs)["containers"][0]["command"]
    assert command == ["/opt/cadre/cadre-shim", "stdio", "/run/cadre/agent.env", "3284", "--", "pi", "--acp"]
    assert guard_environment(docs)["CADRE_AGENT_TRANSPORT"] == "Stdio"

    set_field(docs, "Agent/fin-1", "runtime", {"acp": {**runtime["acp"], "transport": "WebSocket"}})
    assert pod(docs)["containers"][0]["command"][1] == "run"
    assert guard_environment(docs)["CADRE_AGENT_TRANSPORT"] == "WebSocket"


def guard_environment(docs: object) -> dict[str, str]:
    (guard,) = (c for c in pod(docs)["initContainers"] if c["name"] == "guard")  # type: ignore[arg-type]
    return {e["name"]: e["value"] for e in guard["env"]}


def test_replicas_are_left_to_scale_and_pods_to_the_drain() -> None:
    found = objects(company())
    spec = found["StatefulSet"]["spec"]
    assert "replicas" not in spec
    assert spec["updateStrategy"] == {"type": "OnDelete"}
    assert pod(company())["terminationGracePeriodSeconds"] == 1860
    assert found["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
    assert "PodDisruptionBudget" not in objects(company(), "mkt-1")
    assert "PodDisruptionBudget" not in objects(set_field(company(), "Agent/fin-1", "replicas", 1))


def test_state_runtime_and_resources() -> None:
    docs = company()
    set_field(docs, "Agent/fin-1", "state", {"volume": {"size": "1Gi", "storageClassName": "fast"}})
    set_field(docs, "Agent/fin-1", "runtime", {"acp": {"image": "mine@sha256:3", "command": ["run"]}})
    set_field(docs, "Agent/fin-1", "resources", {"agent": {"limits": {"memory": "1Gi"}}})
    found = objects(docs)["StatefulSet"]["spec"]
    (claim,) = found["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast"
    spec = found["template"]["spec"]
    assert "home" not in {v["name"] for v in spec["volumes"]}
    agent = spec["containers"][0]
    assert (agent["image"], agent["command"][-1]) == ("mine@sha256:3", "run")
    assert agent["resources"]["limits"] == {"memory": "1Gi"}
    assert agent["resources"]["requests"]["memory"] == "160Mi"


def test_on_a_desktop_the_guard_is_a_child_process() -> None:
    host = DesktopHost("/venv/python", "/bin/goose", "http://127.0.0.1:7441", "/s/agents", "/s/bootstrap")
    spec = process_spec(snapshot().agents["co/fin-1"], host)
    assert spec.command == ("/venv/python", "-m", "cadre_guard")
    assert spec.env["CADRE_AGENT"] == "co/fin-1"
    assert spec.env["CADRE_BOOTSTRAP_FILE"] == "/s/bootstrap/co.fin-1"
    assert spec.state_dir == spec.env["CADRE_STATE_DIR"] == "/s/agents/co.fin-1"

"""The containers of an agent's pod. The guard alone holds an identity; the agent holds nothing."""

from cadre_api.units import parse_duration
from cadre_api.v1alpha1 import (
    AcpRuntime,
    AgentSpec,
    Analyzer,
    ContainerResources,
    ResourceAmounts,
    Scaling,
    Transport,
)
from cadre_core.bundle import MODEL_ALIAS
from cadre_core.goose_settings import goose_environment
from cadre_core.manifests.settings import (
    AGENT_PORT,
    GUARD_PORT,
    MODEL_PORT,
    UID,
    ClusterSettings,
    Json,
)
from cadre_core.model import EffectiveAgent

HOME = "/home/agent"
SHARED = "/run/cadre"
STATE = "/var/lib/cadre"
CA_DIR = "/etc/cadre/ca"
SHIM_DIR = "/opt/cadre"
_SHIM = f"{SHIM_DIR}/cadre-shim"
TOKEN_DIR = "/var/run/secrets/cadre.dev"  # noqa: S105 - a directory
_RESTRICTED: Json = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": UID,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
_AGENT_RESOURCES = {"requests": {"cpu": "50m", "memory": "160Mi"}, "limits": {"memory": "512Mi"}}
_GUARD_RESOURCES = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "768Mi"}}
_LIGHT_GUARD_RESOURCES = {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}}
"""Of a guard whose texts another process of the machine reads."""


def guard_container(agent: EffectiveAgent, spec: AgentSpec, settings: ClusterSettings) -> Json:
    """Return the guard as a native sidecar: it starts before the agent and outlives it.

    It leaves the agent's starter in a volume, as an agent's image may hold no shell.
    """
    return {
        "name": "guard",
        "image": settings.guard_image,
        "restartPolicy": "Always",
        "args": ["python", "-m", "cadre_guard"],
        "env": _env(_guard_environment(agent, spec, settings)),
        "ports": [{"name": "guard", "containerPort": GUARD_PORT}],
        "startupProbe": _probe("/started", period=1, failures=120),
        "readinessProbe": _probe("/ready", period=5, failures=3),
        "livenessProbe": _probe("/health", period=10, failures=6),
        "resources": _resources(spec.resources.guard if spec.resources else None, _guard_default(spec)),
        "securityContext": _RESTRICTED,
        "volumeMounts": [
            {"name": "shared", "mountPath": SHARED},
            {"name": "shim", "mountPath": SHIM_DIR},
            {"name": "guard-state", "mountPath": STATE},
            {"name": "guard-tmp", "mountPath": "/tmp"},  # noqa: S108 - a mount point
            {"name": "identity", "mountPath": TOKEN_DIR, "readOnly": True},
            {"name": "ca", "mountPath": CA_DIR, "readOnly": True},
        ],
    }


def _guard_environment(agent: EffectiveAgent, spec: AgentSpec, settings: ClusterSettings) -> dict[str, str]:
    drain = parse_duration((spec.scaling or Scaling()).drain_timeout).total_seconds()
    shared: dict[str, str] = {}
    if spec.analyzer is Analyzer.NODE:
        shared["CADRE_ANALYZER_URL"] = f"https://{settings.analyzer_host}:{settings.analyzer_port}"
    return shared | {
        "CADRE_PLACE": "Pod",
        "CADRE_AGENT": agent.key,
        "CADRE_CONTROLLER": f"https://{settings.controller_host}:{settings.controller_port}",
        "CADRE_CA_FILE": f"{CA_DIR}/ca.crt",
        "CADRE_BOOTSTRAP_FILE": f"{TOKEN_DIR}/token",
        "CADRE_STATE_DIR": STATE,
        "CADRE_SHARED_DIR": SHARED,
        "CADRE_SHIM_TARGET": _SHIM,
        "CADRE_AGENT_HOME": HOME,
        "CADRE_AGENT_TRANSPORT": "Goose" if (acp := _acp(spec)) is None else acp.transport.value,
        "CADRE_DRAIN_SECONDS": f"{drain:g}",
        "CADRE_EGRESS_PROBES": ",".join(settings.egress_probes),
        "CADRE_ANALYZER": spec.analyzer.value,
    }


def _guard_default(spec: AgentSpec) -> dict[str, dict[str, str]]:
    return _LIGHT_GUARD_RESOURCES if spec.analyzer is Analyzer.NODE else _GUARD_RESOURCES


def agent_container(spec: AgentSpec, context_window: int, settings: ClusterSettings) -> Json:
    """Return the agent's container; the guard decides in preStop when it may go, and answers its probes."""
    acp = _acp(spec)
    return {
        "name": "agent",
        "image": acp.image if acp and acp.image else settings.goose_image,
        "command": _command(acp),
        "env": _env(_environment(spec, context_window)),
        "lifecycle": {"preStop": {"httpGet": {"path": "/drain", "port": GUARD_PORT}}},
        "startupProbe": _probe("/agent/started", period=1, failures=120),
        "readinessProbe": _probe("/agent/ready", period=5, failures=3),
        "livenessProbe": _replaceable(),
        "resources": _resources(spec.resources.agent if spec.resources else None, _AGENT_RESOURCES),
        "securityContext": _RESTRICTED,
        "volumeMounts": [
            {"name": "home", "mountPath": HOME},
            {"name": "config", "mountPath": f"{HOME}/.config/goose", "readOnly": True},
            {"name": "agent-tmp", "mountPath": "/tmp"},  # noqa: S108 - a mount point
            {"name": "shared", "mountPath": SHARED, "readOnly": True},
            {"name": "shim", "mountPath": SHIM_DIR, "readOnly": True},
        ],
    }


def _replaceable() -> Json:
    # the guard judges, patiently; its no is an order to replace the agent, whose turns are lost already
    return {**_probe("/agent/health", period=5, failures=3), "terminationGracePeriodSeconds": 15}


def _acp(spec: AgentSpec) -> AcpRuntime | None:
    return spec.runtime.acp if spec.runtime else None


_GOOSE = ["goose", "serve", "--host", "127.0.0.1", "--port", str(AGENT_PORT)]


def _command(acp: AcpRuntime | None) -> list[str]:
    # the guard writes the pod's random keys there before the agent may start; they are in no manifest
    keys = f"{SHARED}/agent.env"
    if acp is not None and acp.transport is Transport.STDIO:
        return [_SHIM, "stdio", keys, str(AGENT_PORT), "--", *acp.command]
    return [_SHIM, "run", keys, "--", *(acp.command if acp is not None else _GOOSE)]


def _environment(spec: AgentSpec, context_window: int) -> dict[str, str]:
    settings = goose_environment(
        model_url=f"http://127.0.0.1:{MODEL_PORT}",
        model=MODEL_ALIAS,
        context_window=context_window,
        home=HOME,
        temporary="/tmp",  # noqa: S108 - a mount point of its own
    )
    keeps = spec.state is not None and spec.state.volume is not None
    return settings | ({"CADRE_KEEP_HOME": "1"} if keeps else {})


def _env(values: dict[str, str]) -> list[Json]:
    return [{"name": name, "value": value} for name, value in sorted(values.items())]


def _probe(path: str, period: int, failures: int) -> Json:
    return {
        "httpGet": {"path": path, "port": GUARD_PORT},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": 5,
    }


def _resources(stated: ContainerResources | None, default: dict[str, dict[str, str]]) -> Json:
    return {
        "requests": default["requests"] | _amounts(stated.requests if stated else None),
        "limits": default["limits"] | _amounts(stated.limits if stated else None),
    }


def _amounts(amounts: ResourceAmounts | None) -> dict[str, str]:
    if amounts is None:
        return {}
    found = {"cpu": amounts.cpu, "memory": amounts.memory, "ephemeral-storage": amounts.ephemeral_storage}
    return {name: value for name, value in found.items() if value is not None}

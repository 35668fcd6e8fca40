"""What the cluster's installer decides once for all agents."""

from dataclasses import dataclass

Json = dict[str, object]

GUARD_PORT = 8100
"""The guard's health, drain and probe endpoint."""
MODEL_PORT = 8101
TOOL_PORT = 8102
AGENT_PORT = 3284
"""Where goose listens for ACP; loopback only."""
UID = 10001
LABEL_AGENT = "cadre.dev/agent"
LABEL_TENANT = "cadre.dev/tenant"


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Images by digest, and where the controller's guard port is."""

    guard_image: str
    goose_image: str
    controller_host: str
    """Host name in the controller's certificate; pods have no DNS, so it comes with its address."""
    controller_ip: str
    """Empty until the operator has read it from the Service."""
    controller_port: int = 7441
    controller_namespace: str = "cadre-system"
    controller_labels: tuple[tuple[str, str], ...] = (("app.kubernetes.io/name", "cadre-controller"),)
    analyzer_host: str = ""
    """Host name in the certificate of the machines' analyzers; empty = there are none."""
    analyzer_ip: str = ""
    """Empty until the operator has read it from the Service."""
    analyzer_port: int = 7442
    analyzer_labels: tuple[tuple[str, str], ...] = (("app.kubernetes.io/name", "cadre-analyzer"),)
    ca_config_map: str = "cadre-ca"
    egress_probes: tuple[str, ...] = ()
    """`address:port` of what answers and policy forbids: an agent that reaches one of them never starts."""


def labels(tenant: str, name: str) -> dict[str, str]:
    """Return the labels of everything that belongs to one agent."""
    return {
        "app.kubernetes.io/name": "cadre-agent",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/managed-by": "cadre",
        LABEL_AGENT: name,
        LABEL_TENANT: tenant,
    }


def metadata(namespace: str, tenant: str, name: str) -> Json:
    """Return the metadata of an object that carries the agent's name."""
    return {"name": f"agent-{name}", "namespace": namespace, "labels": labels(tenant, name)}

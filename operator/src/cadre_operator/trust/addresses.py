"""Where the controller is: pods of agents have no DNS, so that they are given addresses."""

from collections.abc import Mapping
from dataclasses import replace

from cadre_core.manifests.settings import ClusterSettings
from cadre_operator.kube.fields import items, text
from cadre_operator.kube.port import Kube, KubeError, Ref
from cadre_operator.settings import TrustSettings

_HTTPS = 443


class AddressMissingError(KubeError):
    """A Service that pods are to be told of is not there, or has no address yet."""

    reason = "ServiceMissing"

    def __init__(self, service: str) -> None:
        super().__init__(f"Service {service} has no ClusterIP yet")


async def located(
    kube: Kube, cluster: ClusterSettings, settings: TrustSettings, namespace: str
) -> ClusterSettings:
    """Fill in the addresses that settings leave out. Raises KubeError.

    Probes are the API server and the controller's public port: both answer, and both are forbidden to agents.
    """
    found = cluster
    if not found.controller_ip:
        address = await _address(kube, namespace, settings.guard_service)
        found = replace(found, controller_ip=address)
    if found.analyzer_host and not found.analyzer_ip:
        address = await _address(kube, namespace, settings.analyzer_service)
        found = replace(found, analyzer_ip=address)
    if found.egress_probes:
        return found
    public = await kube.get(Ref("v1", "Service", namespace, settings.public_service))
    probes = [settings.api_server] if settings.api_server else []
    if public is not None and (address := _ip(public)):
        ports = [port.get("port") for port in items(public, "spec", "ports")]
        probes.append(_joined(address, ports[0] if ports else _HTTPS))
    return replace(found, egress_probes=tuple(probes))


async def _address(kube: Kube, namespace: str, name: str) -> str:
    service = await kube.get(Ref("v1", "Service", namespace, name))
    address = _ip(service) if service is not None else ""
    if not address:
        raise AddressMissingError(f"{namespace}/{name}")
    return address


def _ip(service: Mapping[str, object]) -> str:
    address = text(service, "spec", "clusterIP")
    return "" if address == "None" else address


def _joined(address: str, port: object) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

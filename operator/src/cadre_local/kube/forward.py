"""The way to the controller: through the API server into one of its pods, TLS to its very end."""

import http.client
import ssl
import threading
from dataclasses import dataclass

from kubernetes.client.exceptions import ApiException
from kubernetes.stream.ws_client import PortForward, portforward_call
from typing_extensions import override

from cadre_api.protocol.base import type_json
from cadre_local.errors import CadreError, Exit
from cadre_local.kube.client import KubeClient, KubeRefusedError

SERVICE = "cadre-controller"
LABELS = "app.kubernetes.io/name=cadre-controller"
PORT = 7440
"""Where the controller listens for people, in its pod."""
CA_MAP = "cadre-ca"
CA_KEY = "ca.crt"
_PUMP = "Kubernetes port forward proxy"
"""How the library names the threads that carry the bytes."""


def server_name(namespace: str) -> str:
    """The name that the controller's certificate must have."""
    return f"{SERVICE}.{namespace}.svc"


def authority(kube: KubeClient) -> str:
    """The CA certificates that the controller is verified by. Raises CadreError (NoAuthority)."""
    connection = kube.connection
    for namespace in dict.fromkeys((connection.system_namespace, connection.namespace)):
        try:
            found = kube.find(f"/api/v1/namespaces/{namespace}/configmaps/{CA_MAP}")
        except KubeRefusedError as error:
            if error.status != 403:
                raise
            continue
        data = found.get("data") if found else None
        if isinstance(data, dict) and data.get(CA_KEY):
            return str(data[CA_KEY])
    raise CadreError(
        "NoAuthority",
        f"no ConfigMap {CA_MAP} that you may read in {connection.system_namespace} or {connection.namespace}",
        "is Cadre installed there? pass --system-namespace; cadre doctor says more",
        Exit.UNREACHABLE,
    )


def trust(authorities: str) -> ssl.SSLContext:
    """Verify by these authorities alone."""
    return ssl.create_default_context(cadata=authorities)


@dataclass(frozen=True, slots=True)
class Tunnel:
    """Opens connections to the controller; each goes through a port-forward of its own."""

    kube: KubeClient
    context: ssl.SSLContext

    def open(self, timeout: float) -> http.client.HTTPConnection:
        """A connection that is not made yet."""
        return _TunnelConnection(self, timeout)

    def forward(self) -> PortForward:
        """Reach into a pod. Raises CadreError (ControllerAbsent, Unreachable)."""
        connection = self.kube.connection
        path = f"/api/v1/namespaces/{connection.system_namespace}/pods/{self._pod()}/portforward"
        headers = {"sec-websocket-protocol": "v4.channel.k8s.io"}
        if connection.authorization:
            headers["authorization"] = connection.authorization
        url = f"{connection.server}{path}?ports={PORT}"
        try:
            forward: PortForward = portforward_call(connection.configuration, "GET", url, headers=headers)
            return forward
        except ApiException as error:
            raise _unreachable(str(error.reason)) from error

    def _pod(self) -> str:
        namespace = self.kube.connection.system_namespace
        pods = self.kube.collect(f"/api/v1/namespaces/{namespace}/pods", LABELS)
        ready = [pod for pod in pods if _is_ready(pod)]
        if not ready:
            raise CadreError(
                "ControllerAbsent",
                f"no ready controller in namespace {namespace} ({len(pods)} not ready)",
                f"kubectl -n {namespace} get pods; or pass --system-namespace",
                Exit.UNREACHABLE,
            )
        metadata = ready[0].get("metadata")
        return str(metadata.get("name")) if isinstance(metadata, dict) else ""


class _TunnelConnection(http.client.HTTPConnection):
    def __init__(self, tunnel: Tunnel, timeout: float) -> None:
        super().__init__(server_name(tunnel.kube.connection.system_namespace), timeout=timeout)
        self._tunnel = tunnel
        self._seconds = timeout

    @override
    def connect(self) -> None:
        forward = self._tunnel.forward()
        carried = forward.socket(PORT)
        carried.settimeout(self._seconds)
        try:
            self.sock = self._tunnel.context.wrap_socket(carried, server_hostname=self.host)
        except ssl.SSLCertVerificationError as error:
            raise CadreError(
                "UntrustedController",
                f"the controller's certificate is not the one of {self.host}: {error.verify_message}",
                "do not go on; ask the platform team",
                Exit.UNREACHABLE,
            ) from error
        except OSError as error:
            raise _unreachable(forward.error(PORT) or str(error)) from error


def hush_pumps() -> None:
    """A pump that loses its connection says so to whoever reads from it, not in a traceback."""
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        if args.thread is None or not args.thread.name.startswith(_PUMP):
            before(args)

    threading.excepthook = hook


def _is_ready(pod: type_json) -> bool:
    metadata, status = pod.get("metadata"), pod.get("status")
    conditions = status.get("conditions") if isinstance(status, dict) else None
    leaving = isinstance(metadata, dict) and "deletionTimestamp" in metadata
    return not leaving and any(
        isinstance(item, dict) and item.get("type") == "Ready" and item.get("status") == "True"
        for item in (conditions if isinstance(conditions, list) else [])
    )


def _unreachable(why: str) -> CadreError:
    flat = " ".join(why.split())[:200] or "the connection was closed"
    return CadreError(
        "Unreachable",
        f"the controller cannot be reached through the API server ({flat})",
        "cadre doctor says which right or program is missing; --server goes another way",
        Exit.UNREACHABLE,
    )

"""What the installer decides, read once from the environment; a missing or wrong value stops the start."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cadre_core.manifests.settings import ClusterSettings
from cadre_core.users import Issuers, parse_issuers

_LONGEST_REVIEW_SECONDS = 30


class SettingsError(ValueError):
    """A variable is missing or wrong; the message names it and the fix."""

    reason = "SettingsInvalid"


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where the API server reaches us."""

    listen: str
    port: int
    url: str
    """Base URL, for an operator outside of the cluster; else the service is named."""
    service: str
    failure_policy: str = "Fail"
    timeout: int = 10
    """Seconds that the API server waits for a review; it takes 1 to 30."""
    exempt: tuple[str, ...] = ()
    """Namespaces whose objects nobody judges, and that are therefore not served."""
    manage: bool = True
    """Whether we register ourselves; else the chart does and cert-manager puts the CA in."""
    secret: str = "cadre-operator-webhook"  # noqa: S105 - a name
    certificate: Path | None = None
    """Files of a certificate that somebody else keeps, such as cert-manager; None = we issue it."""
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Identities:
    """How names of the API server's users become persons of the chart."""

    gitops: tuple[str, ...] = ()
    """Users that stand for no person; what they may not decide waits for consent."""
    scalers: tuple[str, ...] = ("system:serviceaccount:kube-system:horizontal-pod-autoscaler",)
    issuers: Issuers = ()
    trusted: tuple[str, ...] = ()
    """Users that write for Cadre itself, such as this operator."""


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """Whose certificates the parts of the system use, and under which names they are found."""

    self_managed: bool = True
    """Whether we keep the authority; else cert-manager does."""
    guard_host: str = ""
    guard_service: str = "cadre-controller-guard"
    public_service: str = "cadre-controller"
    analyzer_service: str = ""
    """Of the machines' analyzers; empty = there are none."""
    api_server: str = ""
    """`address:port` at which pods would reach the API server; empty outside of a cluster."""


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """Everything the operator is told."""

    identity: str
    namespace: str
    namespaces: tuple[str, ...]
    """Namespaces to serve; empty = all."""
    kubeconfig: Path | None
    cluster: ClusterSettings
    webhook: WebhookSettings
    identities: Identities
    trust: TrustSettings
    controller_url: str = ""
    controller_token_file: Path | None = None
    controller_ca_file: Path | None = None
    probe_listen: str = "0.0.0.0"  # noqa: S104 - a pod's own address
    probe_port: int = 8080
    workers: int = 50
    queue_limit: int = 100_000
    lease_seconds: float = 15.0
    resync_seconds: float = 600.0
    watch_age_seconds: float = 180.0
    rolling_percent: int = 10
    log_level: str = "info"
    lease_name: str = "cadre-operator"


def read_settings(env: Mapping[str, str]) -> OperatorSettings:
    """Read the settings. Raises SettingsError."""
    reader = _Reader(env)
    return OperatorSettings(
        identity=env.get("CADRE_IDENTITY") or socket.gethostname(),
        namespace=env.get("CADRE_NAMESPACE") or "cadre-system",
        namespaces=reader.names("CADRE_WATCH_NAMESPACES"),
        kubeconfig=reader.file("KUBECONFIG"),
        cluster=_cluster(reader),
        webhook=_webhook(reader),
        identities=_identities(reader),
        trust=_trust(reader),
        controller_url=env.get("CADRE_CONTROLLER_URL", "").rstrip("/"),
        controller_token_file=reader.file("CADRE_CONTROLLER_TOKEN_FILE"),
        controller_ca_file=reader.file("CADRE_CONTROLLER_CA_FILE"),
        probe_listen=reader.address("CADRE_PROBE_LISTEN", "0.0.0.0:8080")[0],
        probe_port=reader.address("CADRE_PROBE_LISTEN", "0.0.0.0:8080")[1],
        workers=reader.integer("CADRE_WORKERS", 50),
        queue_limit=reader.integer("CADRE_QUEUE_LIMIT", 100_000),
        lease_seconds=reader.seconds("CADRE_LEASE_SECONDS", 15.0),
        resync_seconds=reader.seconds("CADRE_RESYNC_SECONDS", 600.0),
        watch_age_seconds=reader.seconds("CADRE_WATCH_AGE_SECONDS", 180.0),
        rolling_percent=reader.integer("CADRE_ROLLING_PERCENT", 10),
        log_level=env.get("CADRE_LOG_LEVEL", "info"),
    )


def _cluster(reader: "_Reader") -> ClusterSettings:
    return ClusterSettings(
        guard_image=reader.required("CADRE_GUARD_IMAGE"),
        goose_image=reader.required("CADRE_GOOSE_IMAGE"),
        controller_host=reader.required("CADRE_GUARD_HOST"),
        controller_ip=reader.env.get("CADRE_GUARD_IP", ""),
        controller_port=reader.integer("CADRE_GUARD_PORT", 7441),
        controller_namespace=reader.env.get("CADRE_NAMESPACE") or "cadre-system",
        egress_probes=reader.names("CADRE_EGRESS_PROBES"),
        analyzer_host=_analyzer_host(reader),
    )


def _analyzer_host(reader: "_Reader") -> str:
    service = reader.env.get("CADRE_ANALYZER_SERVICE", "")
    return f"{service}.{reader.env.get('CADRE_NAMESPACE') or 'cadre-system'}.svc" if service else ""


def _trust(reader: "_Reader") -> TrustSettings:
    host = reader.env.get("KUBERNETES_SERVICE_HOST", "")
    port = (
        reader.env.get("KUBERNETES_SERVICE_PORT_HTTPS") or reader.env.get("KUBERNETES_SERVICE_PORT") or "443"
    )
    if ":" in host:
        host = f"[{host}]"
    return TrustSettings(
        self_managed=reader.choice("CADRE_TLS_MODE", ("SelfManaged", "CertManager")) == "SelfManaged",
        guard_host=reader.env.get("CADRE_GUARD_HOST", ""),
        guard_service=reader.env.get("CADRE_GUARD_SERVICE") or "cadre-controller-guard",
        public_service=reader.env.get("CADRE_PUBLIC_SERVICE") or "cadre-controller",
        analyzer_service=reader.env.get("CADRE_ANALYZER_SERVICE", ""),
        api_server=f"{host}:{port}" if host else "",
    )


def _webhook(reader: "_Reader") -> WebhookSettings:
    listen, port = reader.address("CADRE_WEBHOOK_LISTEN", "0.0.0.0:9443")
    return WebhookSettings(
        listen=listen,
        port=port,
        url=reader.env.get("CADRE_WEBHOOK_URL", "").rstrip("/"),
        service=reader.env.get("CADRE_WEBHOOK_SERVICE", "cadre-operator"),
        failure_policy=reader.choice("CADRE_WEBHOOK_FAILURE_POLICY", ("Fail", "Ignore")),
        timeout=_review_seconds(reader),
        exempt=_exempt(reader),
        manage=reader.choice("CADRE_WEBHOOK_MANAGE", ("Yes", "No")) == "Yes",
        certificate=reader.file("CADRE_WEBHOOK_CERT"),
        key=reader.file("CADRE_WEBHOOK_KEY"),
    )


def _review_seconds(reader: "_Reader") -> int:
    seconds = reader.integer("CADRE_WEBHOOK_TIMEOUT", 10)
    if seconds > _LONGEST_REVIEW_SECONDS:
        raise SettingsError(f"CADRE_WEBHOOK_TIMEOUT: {seconds}; the API server waits 30 seconds at most")
    return seconds


def _exempt(reader: "_Reader") -> tuple[str, ...]:
    exempt = reader.names("CADRE_WEBHOOK_EXEMPT_NAMESPACES")
    both = sorted(set(exempt) & set(reader.names("CADRE_WATCH_NAMESPACES")))
    if both:
        served = f"{', '.join(both)} is served, and what is served is judged: take it out of one of the two"
        raise SettingsError(f"CADRE_WEBHOOK_EXEMPT_NAMESPACES: {served}")
    return exempt


def _identities(reader: "_Reader") -> Identities:
    try:
        issuers = parse_issuers(reader.env.get("CADRE_ISSUER_PREFIXES", ""))
    except ValueError as error:
        raise SettingsError(f"CADRE_ISSUER_PREFIXES: {error}") from error
    default = Identities()
    return Identities(
        gitops=reader.names("CADRE_GITOPS_USERS"),
        scalers=reader.names("CADRE_SCALER_USERS") or default.scalers,
        issuers=issuers,
        trusted=reader.names("CADRE_TRUSTED_USERS"),
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    env: Mapping[str, str]

    def required(self, name: str) -> str:
        value = self.env.get(name, "")
        if not value:
            raise SettingsError(f"{name} is not set; the chart sets it from its values")
        return value

    def names(self, name: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.env.get(name, "").split(",") if part.strip())

    def file(self, name: str) -> Path | None:
        value = self.env.get(name, "")
        if value and not Path(value).is_file():
            raise SettingsError(f"{name}: there is no file {value}")
        return Path(value) if value else None

    def integer(self, name: str, default: int) -> int:
        value = self.env.get(name) or str(default)
        if not value.isdecimal() or int(value) < 1:
            raise SettingsError(f"{name}: {value!r} is no positive integer")
        return int(value)

    def seconds(self, name: str, default: float) -> float:
        value = self.env.get(name) or str(default)
        try:
            found = float(value)
        except ValueError:
            found = 0.0
        if not 0 < found < 86_400 * 365:
            raise SettingsError(f"{name}: {value!r} is no positive number of seconds")
        return found

    def address(self, name: str, default: str) -> tuple[str, int]:
        host, _, port = (self.env.get(name) or default).rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise SettingsError(f"{name}: write address:port, such as {default}")
        return host.strip("[]"), int(port)

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.env.get(name) or choices[0]
        if value not in choices:
            raise SettingsError(f"{name}: {value!r}; write one of {', '.join(choices)}")
        return value

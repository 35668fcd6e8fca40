"""What the controller is told by its environment: read once, checked, never changed."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from typing_extensions import override

from cadre_api.v1alpha1 import Analyzer
from cadre_controller.auth.cluster import ACCOUNT_DIR, ClusterAccount
from cadre_core.users import Issuers, parse_issuers

_NAMES = {
    "database_url": "CADRE_DATABASE_URL",
    "public_listen": "CADRE_PUBLIC_LISTEN",
    "guard_listen": "CADRE_GUARD_LISTEN",
    "keystore": "CADRE_KEYSTORE",
    "keystore_key_file": "CADRE_KEYSTORE_KEY_FILE",
    "keystore_passphrase": "CADRE_KEYSTORE_PASSPHRASE",
    "home": "CADRE_HOME",
    "desktop": "CADRE_DESKTOP",
    "log_level": "CADRE_LOG_LEVEL",
    "lease_ttl": "CADRE_LEASE_TTL",
    "stop_seconds": "CADRE_STOP_SECONDS",
    "local_hosts": "CADRE_LOCAL_HOSTS",
    "private_hosts": "CADRE_PRIVATE_HOSTS",
    "login_key_file": "CADRE_LOGIN_KEY_FILE",
    "issuer_prefixes": "CADRE_ISSUER_PREFIXES",
    "tls_cert": "CADRE_TLS_CERT",
    "tls_key": "CADRE_TLS_KEY",
    "kubernetes": "CADRE_KUBERNETES",
    "kubernetes_host": "KUBERNETES_SERVICE_HOST",
    "kubernetes_port": "KUBERNETES_SERVICE_PORT",
    "kubernetes_account_dir": "CADRE_KUBERNETES_ACCOUNT_DIR",
    "guard_images": "CADRE_GUARD_IMAGES",
    "analyzer": "CADRE_ANALYZER",
    "operator_account": "CADRE_OPERATOR_ACCOUNT",
    "webhook_url": "CADRE_WEBHOOK_URL",
    "webhook_secret_file": "CADRE_WEBHOOK_SECRET_FILE",
    "smtp_server": "CADRE_SMTP_SERVER",
    "smtp_tls": "CADRE_SMTP_TLS",
    "smtp_user": "CADRE_SMTP_USER",
    "smtp_password": "CADRE_SMTP_PASSWORD",
    "mail_from": "CADRE_MAIL_FROM",
    "otlp_endpoint": "OTEL_EXPORTER_OTLP_ENDPOINT",
}


class SettingsError(Exception):
    """A variable is missing or wrong; the message names it and the fix."""


class Listen(BaseModel):
    """A host and port to listen on; port 0 lets the kernel choose."""

    model_config = ConfigDict(frozen=True)

    host: str
    port: int = Field(ge=0, le=65535)

    @classmethod
    def parse(cls, text: str) -> "Listen":
        """`127.0.0.1:7440` or `[::1]:7440`."""
        host, separator, port = text.rpartition(":")
        if not separator or not port.isdigit():
            raise ValueError("must be host:port, for example 127.0.0.1:7440")
        return cls(host=host.strip("[]"), port=int(port))

    @override
    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class LocalHosts(BaseModel):
    """Hosts that the administrator lists: model hosts that count as local, or private hosts that workflows
    may ask."""

    model_config = ConfigDict(frozen=True)

    endpoints: frozenset[tuple[str, int]] = frozenset()
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "LocalHosts":
        """A comma list of `host:port` and CIDR."""
        endpoints: set[tuple[str, int]] = set()
        networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for item in filter(None, (part.strip() for part in text.split(","))):
            if "/" in item:
                networks.append(ipaddress.ip_network(item))
            else:
                listen = Listen.parse(item)
                endpoints.add((listen.host.lower(), listen.port))
        return cls(endpoints=frozenset(endpoints), networks=tuple(networks))

    def includes(self, host: str, port: int) -> bool:
        """True when `host:port` is listed, or `host` is an address in a listed network. Names are not
        resolved.
        """
        if (host.lower(), port) in self.endpoints:
            return True
        try:
            address = ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return False
        return any(address in network for network in self.networks)


class SmtpTls(StrEnum):
    """How a connection to the mail server is protected."""

    START_TLS = "StartTls"
    """From the second command on (RFC 3207)."""
    IMPLICIT = "Implicit"
    """From the first byte on (RFC 8314)."""
    OFF = "Off"
    """Not at all; for a server on the same machine."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails are handed over, and who they are from."""

    address: Listen
    tls: SmtpTls
    sender: str
    user: str = ""
    """Empty = no login."""
    password: str = field(default="", repr=False)


class Settings(BaseModel):
    """Everything the controller needs to start."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    database_url: str = Field(min_length=1)
    public_listen: Listen = Listen(host="127.0.0.1", port=7440)
    guard_listen: Listen = Listen(host="127.0.0.1", port=7441)
    keystore: Path
    keystore_key_file: Path | None = None
    keystore_passphrase: str = Field(default="", repr=False)
    home: Path | None = None
    desktop: bool = False
    log_level: str = "INFO"
    lease_ttl: float = Field(default=15, gt=0.1, le=600)
    stop_seconds: float = Field(default=10, gt=0, le=3600)
    """How long models may stream on to guards when the process stops; other calls have 10 s."""
    local_hosts: LocalHosts = LocalHosts()
    private_hosts: LocalHosts = LocalHosts()
    """Private and local addresses, and hosts without TLS, that http steps may ask."""
    login_key_file: Path | None = None
    """Key that the operator signs login codes with; None = no sign-in by way of a cluster."""
    issuer_prefixes: Issuers = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    """Both ports speak TLS with these; None = plain HTTP, for a desktop."""
    kubernetes: bool = False
    """Guards and operator are known by their ServiceAccounts."""
    analyzer: Analyzer = Analyzer.SIDECAR
    """Node: the machines have analyzers, so that charts may name them."""
    kubernetes_host: str = ""
    kubernetes_port: int = Field(default=443, ge=1, le=65535)
    kubernetes_account_dir: Path = ACCOUNT_DIR
    guard_images: frozenset[str] = frozenset()
    """Images that a guard's container may run: this version's and the one before."""
    operator_account: str = ""
    otlp_endpoint: str = ""
    webhook_url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """Where approvals are told of; empty = nowhere."""
    webhook_secret_file: Path | None = None
    """Key of the webhook's signatures; needed with `webhook_url`."""
    smtp_server: Listen | None = None
    """Who takes mails to approvers; None = nobody."""
    smtp_tls: SmtpTls = SmtpTls.START_TLS
    smtp_user: str = ""
    smtp_password: str = Field(default="", repr=False)
    mail_from: str = Field(default="", pattern=r"^([^@\s]+@[^@\s<>]+)?$")
    """Address that mails come from; needed with `smtp_server`."""

    @field_validator("public_listen", "guard_listen", "smtp_server", mode="before")
    @classmethod
    def _listen(cls, value: object) -> object:
        return Listen.parse(value) if isinstance(value, str) else value

    @field_validator("local_hosts", "private_hosts", mode="before")
    @classmethod
    def _hosts(cls, value: object) -> object:
        return LocalHosts.parse(value) if isinstance(value, str) else value

    @field_validator("guard_images", mode="before")
    @classmethod
    def _images(cls, value: object) -> object:
        return frozenset(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @field_validator("tls_cert", "tls_key", "webhook_secret_file")
    @classmethod
    def _file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"names no file: {value}")
        return value

    @field_validator("issuer_prefixes", mode="before")
    @classmethod
    def _issuers(cls, value: object) -> object:
        return parse_issuers(value) if isinstance(value, str) else value

    @field_validator("log_level")
    @classmethod
    def _level(cls, value: str) -> str:
        if value.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
        return value.upper()

    @property
    def cluster_account(self) -> ClusterAccount | None:
        """What this pod is to its API server; None outside of a cluster."""
        if not self.kubernetes:
            return None
        host = f"[{self.kubernetes_host}]" if ":" in self.kubernetes_host else self.kubernetes_host
        return ClusterAccount(f"https://{host}:{self.kubernetes_port}", self.kubernetes_account_dir)

    @property
    def mail_server(self) -> MailServer | None:
        """None = no mails."""
        if self.smtp_server is None:
            return None
        return MailServer(self.smtp_server, self.smtp_tls, self.mail_from, self.smtp_user, self.smtp_password)

    @property
    def bootstrap_dir(self) -> Path | None:
        """Where the supervisor leaves one secret per agent; None without CADRE_HOME."""
        return self.home / "run" / "bootstrap" if self.home else None

    @property
    def desktop_token_file(self) -> Path | None:
        """The secret that proves a person is the one who runs this desktop."""
        return self.home / "run" / "desktop.token" if self.home else None


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings; raises SettingsError naming the variable and the fix."""
    values = {field: environment[name] for field, name in _NAMES.items() if environment.get(name)}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = _NAMES[str(first["loc"][0])]
        what = "is not set" if first["type"] == "missing" else first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{name} {what}; set it in the environment of the controller") from error
    _check_together(settings)
    return settings


def _check_together(settings: Settings) -> None:
    """What makes sense only in company."""
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise SettingsError("CADRE_TLS_CERT and CADRE_TLS_KEY belong together; set both or neither")
    if bool(settings.webhook_url) != (settings.webhook_secret_file is not None):
        raise SettingsError(
            "CADRE_WEBHOOK_URL and CADRE_WEBHOOK_SECRET_FILE belong together; set both or neither"
        )
    _check_mail(settings)
    if not settings.kubernetes:
        return
    if not settings.kubernetes_host:
        raise SettingsError("CADRE_KUBERNETES works in a pod only; KUBERNETES_SERVICE_HOST is not set")
    if settings.desktop:
        raise SettingsError("CADRE_KUBERNETES and CADRE_DESKTOP exclude each other; leave one out")
    if not settings.guard_images:
        raise SettingsError("CADRE_GUARD_IMAGES is not set; without it no guard would be let in")


def _check_mail(settings: Settings) -> None:
    if (settings.smtp_server is None) != (not settings.mail_from):
        raise SettingsError("CADRE_SMTP_SERVER and CADRE_MAIL_FROM belong together; set both or neither")
    if bool(settings.smtp_user) != bool(settings.smtp_password):
        raise SettingsError("CADRE_SMTP_USER and CADRE_SMTP_PASSWORD belong together; set both or neither")
    if settings.smtp_user and settings.smtp_tls is SmtpTls.OFF:
        raise SettingsError("CADRE_SMTP_TLS is Off, and a password is not sent so; set StartTls or Implicit")

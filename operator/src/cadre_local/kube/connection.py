"""The kubeconfig: which API server, as whom, where; read as kubectl reads it, plugins included."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes.client.configuration import Configuration
from kubernetes.config import kube_config
from kubernetes.config.config_exception import ConfigException

from cadre_local.errors import CadreError, Exit


@dataclass(frozen=True, slots=True)
class Selection:
    """What the command line chose; empty = as the kubeconfig says."""

    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
    system_namespace: str = "cadre-system"


@dataclass(frozen=True, slots=True)
class Connection:
    """A cluster, and who we are there."""

    configuration: Configuration
    context: str
    user: str
    """The kubeconfig's name for the credentials; the server may know the person under another."""
    namespace: str
    system_namespace: str

    @property
    def server(self) -> str:
        """URL of the API server."""
        return str(self.configuration.host).rstrip("/")

    @property
    def bearer(self) -> str:
        """The bearer token in use, renewed when a plugin says so; empty for certificates."""
        scheme, _, token = self.authorization.partition(" ")
        return token if scheme.lower() == "bearer" else ""

    @property
    def authorization(self) -> str:
        """The Authorization header; empty for certificates."""
        found = self.configuration.get_api_key_with_prefix("authorization")
        return str(found or self.configuration.get_api_key_with_prefix("BearerToken") or "")


def connect(selection: Selection, environ: Mapping[str, str]) -> Connection:
    """Read the kubeconfig. Raises CadreError (KubeconfigMissing, KubeconfigInvalid, UnknownContext)."""
    file = selection.kubeconfig or environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
    if not any(Path(part).expanduser().is_file() for part in file.split(os.pathsep) if part):
        raise CadreError(
            "KubeconfigMissing",
            f"there is no kubeconfig {file}",
            "set KUBECONFIG or pass --kubeconfig",
            Exit.USAGE,
        )
    try:
        contexts, current = kube_config.list_kube_config_contexts(file)
        chosen = _context(contexts, current, selection.context)
        configuration = Configuration()
        kube_config.load_kube_config(
            config_file=file, context=chosen["name"], client_configuration=configuration, persist_config=False
        )
    except ConfigException as error:
        raise CadreError(
            "KubeconfigInvalid", f"{file}: {error}", "kubectl config view", Exit.USAGE
        ) from error
    details = chosen.get("context") or {}
    return Connection(
        configuration,
        str(chosen["name"]),
        str(details.get("user") or ""),
        selection.namespace or str(details.get("namespace") or "default"),
        selection.system_namespace,
    )


_Entry = dict[str, Any]
"""`name` and `context` of the kubeconfig."""


def _context(contexts: list[_Entry], current: object, wanted: str) -> _Entry:
    if not wanted and isinstance(current, dict):
        return current
    found = next((item for item in contexts if item["name"] == wanted), None)
    if found is None:
        names = ", ".join(str(item["name"]) for item in contexts) or "none"
        raise CadreError(
            "UnknownContext",
            f"the kubeconfig has no context {wanted!r}",
            f"use --context with one of: {names}",
            Exit.USAGE,
        )
    return found

"""What every command shares: who acts, on which Cadre, in which format, and how answers are printed."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from cadre_local.errors import CadreError, Exit

if TYPE_CHECKING:  # loaded when used: a command line must answer at once
    from rich.console import Console

    from cadre_local.client.api import CadreApi
    from cadre_local.kube.target import ClusterTarget
    from cadre_local.paths import Home

DEFAULT_GUARD_PORT = 7441
DEFAULT_SCRIPTED_PORT = 7460
DEFAULT_SYSTEM_NAMESPACE = "cadre-system"
PIPE_WIDTH = 240
FORMATS = ("table", "json", "yaml", "name")


@dataclass(slots=True)
class Session:
    """One invocation of `cadre`."""

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    plugin: bool = False
    """Called as `kubectl cadre`: a cluster is meant."""
    persona: str = ""
    server: str = ""
    output: str = "table"
    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
    system_namespace: str = ""
    _cluster: "ClusterTarget | None" = None

    @property
    def home(self) -> "Home":
        """The installation on this machine."""
        from cadre_local.paths import find_home

        return find_home(self.environ)

    @property
    def console(self) -> "Console":
        """Standard output, as wide as it is; a pipe is wide and wraps nothing."""
        from rich.console import Console

        if sys.stdout.isatty():
            return Console(highlight=False)
        width = None if self.environ.get("COLUMNS") else PIPE_WIDTH
        return Console(highlight=False, soft_wrap=True, width=width)

    @property
    def is_table(self) -> bool:
        """Whether people read the output."""
        return self.output == "table"

    @property
    def in_cluster(self) -> bool:
        """Whether a cluster is meant: called as a plugin, or one was named."""
        named = self.kubeconfig or self.context or self.namespace
        return self.plugin or bool(named) or self.environ.get("CADRE_TARGET") == "cluster"

    @property
    def program(self) -> str:
        """How this program is called, for hints that can be copied."""
        return "kubectl cadre" if self.plugin else "cadre"

    @property
    def cluster(self) -> "ClusterTarget | None":
        """The cluster that is meant; None on a desktop. Raises CadreError on a bad kubeconfig."""
        if self.in_cluster and self._cluster is None:
            self._cluster = self._open_cluster()
        return self._cluster

    def api(self) -> "CadreApi":
        """A client of the controller, signed in (desktop: as `--as`, CADRE_AS; nobody = tenant admin)."""
        if cluster := self.cluster:
            return cluster.api()
        from cadre_local.client.target import DesktopTarget

        server = self.server or self.environ.get("CADRE_SERVER", "")
        person = self.persona or self.environ.get("CADRE_AS", "")
        return DesktopTarget(self.environ, self.home, server, person).api()

    def desktop_only(self, command: str, instead: str) -> None:
        """Refuse a command that only makes sense on this machine. Raises CadreError (DesktopOnly)."""
        if self.in_cluster:
            raise CadreError(
                "DesktopOnly", f"{command} is for this machine, not for a cluster", instead, Exit.USAGE
            )

    def cluster_only(self, command: str, instead: str) -> "ClusterTarget":
        """The cluster. Raises CadreError (ClusterOnly) on a desktop."""
        if found := self.cluster:
            return found
        raise CadreError("ClusterOnly", f"{command} is for a cluster", instead, Exit.USAGE)

    def emit(self, data: object, render: "Callable[[Console], None]") -> None:
        """Print data for programs, or rendered for people."""
        if self.is_table:
            render(self.console)
        else:
            click.echo(dump(data, self.output))

    def note(self, text: str) -> None:
        """Tell people something beside the answer."""
        click.echo(f"note {text}", err=True)

    def _open_cluster(self) -> "ClusterTarget":
        from cadre_local.kube.connection import Selection
        from cadre_local.kube.target import ClusterTarget

        if self.persona:
            raise CadreError(
                "PersonGiven",
                "--as is for a desktop; in a cluster you are whom your kubeconfig says",
                "choose another --context",
                Exit.USAGE,
            )
        system = self.system_namespace or self.environ.get("CADRE_SYSTEM_NAMESPACE", DEFAULT_SYSTEM_NAMESPACE)
        selection = Selection(self.kubeconfig, self.context, self.namespace, system)
        return ClusterTarget.open(
            selection, self.environ, self.server or self.environ.get("CADRE_SERVER", "")
        )


pass_session = click.make_pass_decorator(Session, ensure=True)


def dump(data: object, output: str) -> str:
    """Data as JSON or YAML text with the names it has on the wire, or only the names of things."""
    plain = to_plain(data)
    if output == "name":
        return "\n".join(_names(plain))
    if output == "json":
        return json.dumps(plain, indent=2, ensure_ascii=False, default=str)
    import yaml

    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).rstrip()


def to_plain(data: object) -> object:
    """Models, tuples and mappings as plain JSON values."""
    if hasattr(data, "model_dump"):
        return data.model_dump(mode="json", by_alias=True)
    if isinstance(data, Mapping):
        return {str(key): to_plain(value) for key, value in data.items()}
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return [to_plain(item) for item in data]
    return data


def _names(data: object) -> Iterator[str]:
    """One name a line: `kind.cadre.dev/name` of objects as kubectl says it, else a key or an id."""
    if isinstance(data, list):
        for item in data:
            yield from _names(item)
    elif isinstance(data, dict):
        for inner in ("items", "agents", "task", "checks"):
            if isinstance(data.get(inner), list | dict):
                yield from _names(data[inner])
                return
        metadata = data.get("metadata")
        if isinstance(metadata, dict) and data.get("kind"):
            yield f"{str(data['kind']).lower()}.cadre.dev/{metadata.get('name')}"
        elif name := data.get("id") or data.get("key") or data.get("agent") or data.get("name"):
            yield str(name)

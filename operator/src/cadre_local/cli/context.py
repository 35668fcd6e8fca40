"""What every command shares: who acts, on which server, in which format, and how answers are printed."""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import click
import yaml
from pydantic import BaseModel
from rich.console import Console

from cadre_local import state
from cadre_local.client.api import CadreApi
from cadre_local.client.http import Endpoint, HttpClient
from cadre_local.errors import CadreError, Exit
from cadre_local.paths import Home, find_home
from cadre_local.supervise.programs import public_url

DEFAULT_PORT = 7440
DEFAULT_GUARD_PORT = 7441
DEFAULT_SCRIPTED_PORT = 7460
PIPE_WIDTH = 240
FORMATS = ("table", "json", "yaml")


@dataclass(slots=True)
class Session:
    """One invocation of `cadre`."""

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    persona: str = ""
    server: str = ""
    output: str = "table"

    @property
    def home(self) -> Home:
        """The installation on this machine."""
        return find_home(self.environ)

    @property
    def console(self) -> Console:
        """Standard output, as wide as it is; a pipe is wide and wraps nothing."""
        if sys.stdout.isatty():
            return Console(highlight=False)
        width = None if self.environ.get("COLUMNS") else PIPE_WIDTH
        return Console(highlight=False, soft_wrap=True, width=width)

    @property
    def is_table(self) -> bool:
        """Whether people read the output."""
        return self.output == "table"

    def api(self) -> CadreApi:
        """A client logged in as the persona (`--as`, CADRE_AS; nobody = tenant admin)."""
        http = HttpClient(Endpoint(self._url()))
        api = CadreApi(http)
        token = self.environ.get("CADRE_TOKEN")
        if token:
            http.token = token
        else:
            person = self.persona or self.environ.get("CADRE_AS", "")
            api.log_in(self._secret(http.endpoint.url), person, self._tenant())
        return api

    def emit(self, data: object, render: Callable[[Console], None]) -> None:
        """Print data for programs, or rendered for people."""
        if self.is_table:
            render(self.console)
        else:
            click.echo(dump(data, self.output))

    def _url(self) -> str:
        named = self.server or self.environ.get("CADRE_SERVER")
        if named:
            return named
        known = state.load(self.home)
        return public_url(known.ports.public if known else DEFAULT_PORT)

    def _tenant(self) -> str:
        known = state.load(self.home)
        return self.environ.get("CADRE_TENANT") or (known.tenant if known else "")

    def _secret(self, url: str) -> str:
        file = self.home.desktop_token
        try:
            return file.read_text().strip()
        except FileNotFoundError as error:
            raise CadreError(
                "Unreachable", f"no desktop token for {url}", "is Cadre running? cadre up", Exit.UNREACHABLE
            ) from error
        except PermissionError as error:
            raise CadreError(
                "NotYours",
                f"{file} belongs to somebody else",
                "set CADRE_HOME, or CADRE_TOKEN for another server",
            ) from error


pass_session = click.make_pass_decorator(Session, ensure=True)


def dump(data: object, output: str) -> str:
    """Data as JSON or YAML text; models with the names they have on the wire."""
    plain = to_plain(data)
    if output == "json":
        return json.dumps(plain, indent=2, ensure_ascii=False, default=str)
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).rstrip()


def to_plain(data: object) -> object:
    """Models, tuples and mappings as plain JSON values."""
    if isinstance(data, BaseModel):
        return data.model_dump(mode="json", by_alias=True)
    if isinstance(data, Mapping):
        return {str(key): to_plain(value) for key, value in data.items()}
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return [to_plain(item) for item in data]
    return data

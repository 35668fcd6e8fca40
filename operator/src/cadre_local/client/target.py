"""Which Cadre a command speaks to: the one on this machine, or one in a cluster."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from cadre_local.client.api import CadreApi
from cadre_local.client.http import Endpoint, HttpClient
from cadre_local.errors import CadreError, Exit
from cadre_local.paths import Home

DEFAULT_PORT = 7440


class Target(Protocol):
    """A Cadre that can be spoken to."""

    def api(self) -> CadreApi:
        """A client that is signed in. Raises CadreError."""
        ...


@dataclass(frozen=True, slots=True)
class DesktopTarget:
    """The installation on this machine, or any controller by its URL and a token."""

    environ: Mapping[str, str]
    home: Home
    server: str = ""
    person: str = ""
    """Whom to act as; empty = tenant administrator."""

    def api(self) -> CadreApi:
        """Signed in as the person, by the secret that only this machine's user can read."""
        http = HttpClient(Endpoint(self._url()))
        api = CadreApi(http)
        token = self.environ.get("CADRE_TOKEN")
        if token:
            http.token = token
        else:
            api.log_in(self._secret(http.endpoint.url), self.person, self._tenant())
        return api

    def _url(self) -> str:
        from cadre_local import state

        known = None if self.server else state.load(self.home)
        return self.server or f"http://127.0.0.1:{known.ports.public if known else DEFAULT_PORT}"

    def _tenant(self) -> str:
        from cadre_local import state

        named = self.environ.get("CADRE_TENANT")
        known = None if named else state.load(self.home)
        return named or (known.tenant if known else "")

    def _secret(self, url: str) -> str:
        file = self.home.desktop_token
        try:
            return file.read_text().strip()
        except FileNotFoundError as error:
            raise CadreError(
                "Unreachable",
                f"no desktop token for {url}",
                "is Cadre running here? cadre up; for a cluster: kubectl cadre, or --context",
                Exit.UNREACHABLE,
            ) from error
        except PermissionError as error:
            raise CadreError(
                "NotYours",
                f"{file} belongs to somebody else",
                "set CADRE_HOME, or CADRE_TOKEN for another server",
            ) from error

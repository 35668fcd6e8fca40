"""What `cadre up` asks of the supervisor: resolved once by the command line, passed on as plain values."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from cadre_local.paths import Home
from cadre_local.state import Ports


class UpOptions(BaseModel):
    """One start of desktop mode."""

    model_config = ConfigDict(frozen=True)

    home: Path
    ports: Ports
    chart: Path | None = None
    """Directory or file to apply; None = continue with what the database holds."""
    scripted: Path | None = None
    """Scenario for the scripted model; None = no model server of ours."""
    goose: str = ""
    goose_version: str = ""
    database_url: str = ""
    """An external Postgres; empty = the embedded one."""

    @property
    def state_home(self) -> Home:
        """The installation."""
        return Home(self.home)

"""The demo's own place: a fresh state directory, free ports, and a copy of the Acme chart that fits them."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from cadre_local.demo.provider import Provider, environment, specification
from cadre_local.errors import CadreError
from cadre_local.paths import Home
from cadre_local.ports import pick_free

EXAMPLE = Path(__file__).parents[4] / "examples" / "01-acme"
CHART_PORT = "127.0.0.1:7460"
"""Where the chart expects the scripted model."""
MODEL = "scripted"
"""Name of provider and model in the chart."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything one run of the demo uses."""

    root: Path
    port: int
    guard_port: int
    scripted_port: int
    provider: Provider

    @property
    def home(self) -> Home:
        """The state directory."""
        return Home(self.root / "home")

    @property
    def chart(self) -> Path:
        """The copy of the chart."""
        return self.root / "chart"

    @property
    def environ(self) -> dict[str, str]:
        """For every command of the demo."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in {"CADRE_SERVER", "CADRE_AS", "CADRE_TOKEN"}
        }
        return {**kept, **environment(self.provider), "CADRE_HOME": str(self.home.root)}

    def up_arguments(self) -> list[str]:
        """How `cadre up` is called."""
        arguments = [
            "up",
            "-f",
            str(self.chart),
            "--port",
            str(self.port),
            "--guard-port",
            str(self.guard_port),
        ]
        if self.provider.scripted:
            scenario = str(self.chart / "story" / "scenario.yaml")
            arguments += ["--scripted", scenario, "--scripted-port", str(self.scripted_port)]
        return arguments

    def remove(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self.root, ignore_errors=True)


def build(provider: Provider) -> Stage:
    """Make it; raises `ExampleMissing` outside of a checkout."""
    if not EXAMPLE.is_dir():
        raise CadreError(
            "ExampleMissing", f"{EXAMPLE} is not here", "run the demo from a checkout: make demo"
        )
    root = Path(tempfile.mkdtemp(prefix="cadre-demo-", dir="/tmp"))
    if os.geteuid() == 0:
        root.chmod(0o711)
    stage = Stage(root, pick_free(), pick_free(), pick_free(), provider)
    shutil.copytree(EXAMPLE, stage.chart)
    _own_ledger(stage)
    (_retarget_scripted if provider.scripted else _retarget_real)(stage)
    return stage


def _own_ledger(stage: Stage) -> None:
    """A ledger file of this run: nobody's earlier bookings, and none left behind."""
    tools = stage.chart / "tools.yaml"
    documents = list(yaml.safe_load_all(tools.read_text()))
    for document in documents:
        document["spec"]["stdio"]["env"] = [{"name": "LEDGER_FILE", "value": str(stage.root / "ledger.db")}]
    tools.write_text(yaml.safe_dump_all(documents, sort_keys=False))


def _retarget_scripted(stage: Stage) -> None:
    models = stage.chart / "models.yaml"
    models.write_text(models.read_text().replace(CHART_PORT, f"127.0.0.1:{stage.scripted_port}"))


def _retarget_real(stage: Stage) -> None:
    models, profiles = stage.chart / "models.yaml", stage.chart / "profiles.yaml"
    documents = list(yaml.safe_load_all(models.read_text()))
    for document in documents:
        if document["metadata"]["name"] == MODEL:
            document["spec"] = specification(stage.provider)
    models.write_text(yaml.safe_dump_all(documents, sort_keys=False))
    chosen = f"model: {yaml.safe_dump(stage.provider.model, default_style=chr(34)).strip()}"
    profiles.write_text(profiles.read_text().replace(f"model: {MODEL}", chosen))

"""How an agent is launched for us: one provider (our endpoint), one extension (our gateway), no memory."""

import os
import shutil
from pathlib import Path

from cadre_api.protocol.guard import AgentBundle
from cadre_core.goose_settings import goose_config_yaml, goose_environment
from cadre_guard.errors import GuardError
from cadre_guard.sandbox.spec import LaunchSpec

MODEL_PORT, TOOL_PORT = 8101, 8102
"""Inside the agent's network namespace; on the host the kernel picks."""
_CONFIG_FILE = ".config/goose/config.yaml"
_TEMPORARY = ".tmp"
_PATH = "/usr/local/bin:/usr/bin:/bin"


def agent_launch(
    bundle: AgentBundle, *, goose: Path, prefix: str, secret: str, isolate: bool, home: Path
) -> LaunchSpec:
    """The launch of `goose acp`, or of the bundle's own ACP agent, with our endpoints as its whole world.

    Raises GuardError(AgentNotFound).
    """
    config = goose_config_yaml(frozenset(bundle.goose_extensions))
    return LaunchSpec(
        argv=_installed(bundle.runtime_command) if bundle.runtime_command else (str(goose), "acp"),
        environment=_environment(bundle, prefix, secret),
        files={_CONFIG_FILE: config, f"{_TEMPORARY}/.keep": ""},
        ports=(MODEL_PORT, TOOL_PORT),
        isolate=isolate,
        home=str(home),
    )


def _installed(command: tuple[str, ...]) -> tuple[str, ...]:
    """The command with the path of its program, which a chart names alike for a container and a desktop."""
    program = shutil.which(command[0], path=os.environ.get("PATH", _PATH))
    if program is None:
        raise GuardError("AgentNotFound", f"there is no program {command[0]} here: install it on the PATH")
    return (os.path.realpath(program), *command[1:])


def _environment(bundle: AgentBundle, prefix: str, secret: str) -> dict[str, str]:
    settings = goose_environment(
        model_url="http://127.0.0.1:@PORT0@",
        model=bundle.model_alias,
        context_window=bundle.context_window,
        home="@HOME@",
        temporary=f"@HOME@/{_TEMPORARY}",
        base_path=f"/{prefix}/v1",
    )
    # the key is sent as the bearer of every model call; custom headers are not (measured, 1.52.0)
    return {**settings, "OPENAI_API_KEY": secret, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}

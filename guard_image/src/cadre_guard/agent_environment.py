"""How an agent is launched for us: one provider (our endpoint), one extension (our gateway), no memory."""

from pathlib import Path

from cadre_api.protocol.guard import AgentBundle
from cadre_core.goose_settings import goose_config_yaml, goose_environment
from cadre_guard.sandbox.spec import LaunchSpec

MODEL_PORT, TOOL_PORT = 8101, 8102
"""Inside the agent's network namespace; on the host the kernel picks."""
_CONFIG_FILE = ".config/goose/config.yaml"
_TEMPORARY = ".tmp"


def agent_launch(
    bundle: AgentBundle, *, goose: Path, prefix: str, secret: str, isolate: bool, home: Path
) -> LaunchSpec:
    """The launch of `goose acp`, or of the bundle's own ACP agent, with our endpoints as its whole world."""
    config = goose_config_yaml(frozenset(bundle.goose_extensions))
    return LaunchSpec(
        argv=bundle.runtime_command or (str(goose), "acp"),
        environment=_environment(bundle, prefix, secret),
        files={_CONFIG_FILE: config, f"{_TEMPORARY}/.keep": ""},
        ports=(MODEL_PORT, TOOL_PORT),
        isolate=isolate,
        home=str(home),
    )


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

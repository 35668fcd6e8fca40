"""How goose is set up for us: one provider (our endpoint), one extension (our gateway), no memory."""

from pathlib import Path

from cadre_api.protocol.guard import AgentBundle
from cadre_guard.sandbox.spec import LaunchSpec

MODEL_PORT, TOOL_PORT = 8101, 8102
"""Inside the agent's network namespace; on the host the kernel picks."""
_MAX_TURNS = 50
_IDLE_SECONDS = 120
_OFF = ("developer", "apps", "skills", "summon", "extensionmanager", "scheduler", "tom", "analyze")
_CONFIG_FILE = ".config/goose/config.yaml"


def goose_launch(
    bundle: AgentBundle, *, goose: Path, prefix: str, secret: str, isolate: bool, home: Path
) -> LaunchSpec:
    """The launch of `goose acp` (or of the bundle's own ACP agent) with our endpoints as its whole world."""
    argv = bundle.runtime_command or (str(goose), "acp")
    return LaunchSpec(
        argv=argv,
        environment=_environment(bundle, prefix, secret),
        files={_CONFIG_FILE: _config(bundle), ".tmp/.keep": ""},
        ports=(MODEL_PORT, TOOL_PORT),
        isolate=isolate,
        home=str(home),
    )


def _environment(bundle: AgentBundle, prefix: str, secret: str) -> dict[str, str]:
    return {
        "HOME": "@HOME@",
        "TMPDIR": "@HOME@/.tmp",
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "GOOSE_PROVIDER": "openai",
        "GOOSE_MODEL": bundle.model_alias,
        "GOOSE_MODE": "approve",
        "GOOSE_CONTEXT_LIMIT": str(bundle.context_window),
        "GOOSE_DISABLE_SESSION_NAMING": "true",
        "GOOSE_DISABLE_KEYRING": "1",
        "GOOSE_TELEMETRY_ENABLED": "false",
        "GOOSE_MAX_TURNS": str(_MAX_TURNS),
        "CONTEXT_FILE_NAMES": "[]",
        "OPENAI_HOST": "http://127.0.0.1:@PORT0@",
        # a leading slash is what keeps goose from the /v1/responses dialect for some model names
        "OPENAI_BASE_PATH": f"/{prefix}/v1/chat/completions",
        # sent as the bearer of every model call; custom headers are not (measured, 1.52.0)
        "OPENAI_API_KEY": secret,
        "OPENAI_TIMEOUT": str(_IDLE_SECONDS),
    }


def _config(bundle: AgentBundle) -> str:
    wanted = set(bundle.goose_extensions)
    lines = [
        f"  {name}: {{enabled: {str(name in wanted).lower()}, type: platform, name: {name}, bundled: true}}"
        for name in _OFF
    ]
    return "\n".join(["extensions:", *lines, ""])

"""How goose is set up: one provider (the guard), one extension (the guard's gateway), nothing of its own.

Measured with goose 1.52.0: without the config file it loads eight extensions by itself; `true` must be the
word; a base path with a leading slash keeps every model name on chat completions.
"""

EXTENSIONS = ("developer", "apps", "skills", "summon", "extensionmanager", "scheduler", "tom", "analyze")
"""Extensions that goose enables by itself, by the key it looks for."""
_NAMES = {"extensionmanager": "Extension Manager"}
MODEL_IDLE_SECONDS = 120
MAX_TURNS = 50


def goose_environment(
    *, model_url: str, model: str, context_window: int, home: str, temporary: str, base_path: str = "/v1"
) -> dict[str, str]:
    """Return goose's environment; `model_url` is the guard's endpoint without a path."""
    return {
        "HOME": home,
        "TMPDIR": temporary,
        "GOOSE_PROVIDER": "openai",
        "GOOSE_MODEL": model,
        "GOOSE_MODE": "approve",
        "GOOSE_CONTEXT_LIMIT": str(context_window),
        "GOOSE_DISABLE_SESSION_NAMING": "true",
        "GOOSE_DISABLE_KEYRING": "1",
        "GOOSE_TELEMETRY_ENABLED": "false",
        "GOOSE_MAX_TURNS": str(MAX_TURNS),
        "CONTEXT_FILE_NAMES": "[]",
        "OPENAI_HOST": model_url,
        "OPENAI_BASE_PATH": f"{base_path}/chat/completions",
        "OPENAI_TIMEOUT": str(MODEL_IDLE_SECONDS),
    }


def goose_config_yaml(enabled: frozenset[str] = frozenset()) -> str:
    """Return `config.yaml`: every extension off but those that the profile opts into."""
    lines = [
        f"  {key}: {{enabled: {str(key in enabled).lower()}, type: platform, "
        f"name: {_NAMES.get(key, key)}, bundled: true}}"
        for key in sorted({*EXTENSIONS, *enabled})
    ]
    return "\n".join(["extensions:", *lines, ""])

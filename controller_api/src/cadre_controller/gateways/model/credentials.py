"""Provider and tool server credentials by reference: read at the moment of use, held nowhere else."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from cadre_controller.errors import Denied

_FOLDER = "CADRE_SECRET_DIR"
_FILE_NAME = re.compile(r"(?!\.\.)[A-Za-z0-9._-]{1,253}")


class Credentials:
    """Looks a reference up in the environment, in a folder of mounted Secrets, then in the keystore."""

    def __init__(self, environment: Mapping[str, str], stored: Callable[[str], str | None]) -> None:
        self._environment = environment
        self._stored = stored

    def resolve(self, reference: Mapping[str, str], owner: str) -> str:
        """The secret behind a reference, empty when there is none; raises Denied(CredentialMissing)."""
        if not reference:
            return ""
        if "secret" not in reference:
            raise Denied(
                "CredentialMissing",
                f"{owner} keeps its credential where this controller cannot read",
                "use credentialsRef.secret on a desktop",
            )
        name, key = reference["secret"], reference.get("key", "")
        given = self._environment.get(variable_of(name, key)) or self._mounted(name, key)
        value = given or self._stored(f"secret/{name}/{key}")
        if not value:
            raise Denied("CredentialMissing", f"the credential of {owner} is not set", self._fix(name, key))
        return value

    def _fix(self, name: str, key: str) -> str:
        if self._environment.get(_FOLDER):
            return f"put {key} into the Secret {name}, and {name} into controller.credentials of the release"
        return f"store it as secret/{name}/{key} in the keystore, or set {variable_of(name, key)}"

    def _mounted(self, name: str, key: str) -> str:
        """`NAME/KEY` in the folder, where the cluster replaces what was rotated; empty when there is none."""
        folder = self._environment.get(_FOLDER, "")
        if not folder or not _FILE_NAME.fullmatch(name) or not _FILE_NAME.fullmatch(key):
            return ""
        try:
            return (Path(folder) / name / key).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return ""


def variable_of(name: str, key: str) -> str:
    """The environment variable that may carry a secret: CADRE_SECRET_<NAME>_<KEY>."""
    return "CADRE_SECRET_" + re.sub(r"[^A-Z0-9]+", "_", f"{name}_{key}".upper())

"""The desktop's grants: a secret that the supervisor left in a file only its owner can read, traded for a
token.
"""

import hashlib
import hmac
import re
from pathlib import Path

from cadre_controller.refusals import GrantDisabled, Unauthorized

_AGENT_KEY = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_MAX_SECRET_BYTES = 4096


class DesktopGrants:
    """Checks secrets against files; on anything but a desktop it refuses."""

    def __init__(self, enabled: bool, token_file: Path | None, bootstrap_dir: Path | None) -> None:
        self._enabled = enabled
        self._token_file = token_file
        self._bootstrap_dir = bootstrap_dir

    def check_person(self, secret: str) -> None:
        """Refuse unless `secret` is the desktop's; raises GrantDisabled, Unauthorized."""
        if not self._enabled or self._token_file is None:
            raise GrantDisabled
        self._check(secret, self._token_file, "the desktop secret is wrong", "read it from run/desktop.token")

    def check_guard(self, agent: str, secret: str) -> None:
        """Refuse unless `secret` is the one registered for `agent`; raises GrantDisabled, Unauthorized."""
        if not self._enabled or self._bootstrap_dir is None:
            raise GrantDisabled
        if not _AGENT_KEY.fullmatch(agent):
            raise Unauthorized(
                "BootstrapRefused", "the agent's key is not namespace/name", "correct CADRE_AGENT"
            )
        path = self._bootstrap_dir / agent.replace("/", ".")
        self._check(secret, path, "the bootstrap secret is wrong", "start the guard through `cadre up`")

    @staticmethod
    def _check(secret: str, path: Path, message: str, fix: str) -> None:
        expected = _read(path)
        given = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
        if not (hmac.compare_digest(given, hashlib.sha256(expected).digest()) and expected):
            raise Unauthorized("BootstrapRefused", message, fix)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_SECRET_BYTES).strip()
    except OSError:
        return b""

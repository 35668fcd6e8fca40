"""Configuration only with the controller's signature, for us, in force, and never older than what we had."""

import json
from datetime import UTC, datetime
from pathlib import Path

import jwt
from jwt.algorithms import OKPAlgorithm
from jwt.exceptions import PyJWTError
from pydantic import ValidationError

from cadre_api.protocol.base import type_json
from cadre_api.protocol.guard import AgentBundle
from cadre_guard.errors import GuardError
from cadre_guard.jsonvalue import as_count, as_text, parse_object

SUPPORTED_VERSION = 1


class BundleRefusedError(GuardError):
    """A bundle that must not take effect; the one before stays in force."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)


def verify_bundle(jws: str, key: type_json, *, agent: str, now: datetime) -> AgentBundle:
    """The bundle in a compact JWS (RFC 7515, EdDSA); raises BundleRefusedError."""
    try:
        public = OKPAlgorithm.from_jwk(json.dumps(key))
        payload = jwt.PyJWS(algorithms=["EdDSA"]).decode(jws, public, algorithms=["EdDSA"])  # type: ignore[arg-type]
        bundle = AgentBundle.model_validate_json(payload)
    except ValidationError:
        raise BundleRefusedError("BundleMalformed", "the bundle is not understood") from None
    except (PyJWTError, ValueError, TypeError):
        raise BundleRefusedError("BundleSignature", "the bundle's signature does not hold") from None
    if bundle.version > SUPPORTED_VERSION:
        raise BundleRefusedError("BundleVersion", f"bundle version {bundle.version} is newer than this guard")
    if bundle.agent != agent:
        raise BundleRefusedError("BundleForeign", "the bundle is another agent's")
    if bundle.expires_at <= now:
        raise BundleRefusedError("BundleExpired", "the bundle is past its time")
    return bundle


class BundleStore:
    """The bundle in force, and the highest generation ever accepted, which outlives a restart."""

    def __init__(self, file: Path, agent: str) -> None:
        self._file = file
        self._agent = agent
        self._highest, self._digest = _read_mark(file)
        self.current: AgentBundle | None = None

    @property
    def generation(self) -> int:
        """Of the bundle in force; -1 = none yet."""
        return self.current.generation if self.current else -1

    def ask_after(self) -> int:
        """What to ask the controller for: anything newer, or the same again when its time runs out."""
        bundle = self.current
        if bundle is None:
            return -1
        life = bundle.expires_at - bundle.issued_at
        return -1 if datetime.now(UTC) > bundle.expires_at - life / 3 else bundle.generation

    def usable(self) -> AgentBundle | None:
        """The bundle in force, or None when there is none or its time is over."""
        if self.current is None or self.current.expires_at <= datetime.now(UTC):
            return None
        return self.current

    def check(self, jws: str, key: type_json) -> AgentBundle:
        """The bundle in a JWS that may be put in force; raises BundleRefusedError."""
        bundle = verify_bundle(jws, key, agent=self._agent, now=datetime.now(UTC))
        if bundle.generation < self._highest:
            raise BundleRefusedError("BundleRollback", "the bundle is older than one seen before")
        return bundle

    def activate(self, bundle: AgentBundle) -> None:
        """Put a checked bundle in force."""
        self._highest, self._digest = bundle.generation, bundle.digest
        scratch = self._file.with_suffix(".new")
        scratch.write_text(json.dumps({"generation": self._highest, "digest": self._digest}))
        scratch.replace(self._file)
        self.current = bundle


def _read_mark(file: Path) -> tuple[int, str]:
    if not file.exists():
        return 0, ""
    mark = parse_object(file.read_text())
    if mark is None:
        raise GuardError(
            "StateCorrupt", f"{file.name} is unreadable: remove it to start anew", retryable=False
        )
    return as_count(mark.get("generation")), as_text(mark.get("digest"))

"""Detection, token grammar and masking as a pure CPU library.

Guard, controller and CLI must agree to the byte on what a token is and what counts as an entity; sharing one
library is what makes them agree. Nothing here does I/O or knows an event loop: callers run scans in an
executor. The detector itself (25 MB of names) is loaded when it is first asked for: a guard that scans in
another process never pays for it.
"""

import importlib
from typing import TYPE_CHECKING

from cadre_detect.cache import SpanCache
from cadre_detect.config import DetectConfig, Recognizer, Term
from cadre_detect.errors import Blocked, DetectionError
from cadre_detect.findings import Finding
from cadre_detect.jsonwalk import Json, WalkRules
from cadre_detect.masking import MaskPlan, MaskPolicy, Mode, apply, decide_action, plan
from cadre_detect.restore import restore_json, restore_text
from cadre_detect.tokens import TOKEN_RE, find_tokens, holdback, make_token

if TYPE_CHECKING:
    from cadre_detect.detector import Detector

__all__ = [
    "TOKEN_RE",
    "Blocked",
    "DetectConfig",
    "DetectionError",
    "Detector",
    "Finding",
    "Json",
    "MaskPlan",
    "MaskPolicy",
    "Mode",
    "Recognizer",
    "SpanCache",
    "Term",
    "WalkRules",
    "apply",
    "decide_action",
    "find_tokens",
    "holdback",
    "make_token",
    "plan",
    "restore_json",
    "restore_text",
]


def __getattr__(name: str) -> object:
    if name == "Detector":
        return importlib.import_module("cadre_detect.detector").Detector
    raise AttributeError(name)

"""Keys of a checkpoint's parts.

They are made of letters alone: a key that held a personal value would be refused, and digits of an identifier
can look like one.
"""

import hashlib
import re

_TO_LETTERS = str.maketrans("0123456789abcdef", "ponmlkjihgfedcba")
_FROM_LETTERS = str.maketrans("ponmlkjihgfedcba", "0123456789abcdef")
_END = "z"
MAX_ID = 60
"""Bytes of a checkpoint's id."""
ROOT = "lg/"
UUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}")


def letters(text: str) -> str:
    """A text as letters; what sorts later comes first, and `unletters` undoes it."""
    return text.encode().hex().translate(_TO_LETTERS)


def unletters(text: str) -> str:
    """What `letters` was given."""
    return bytes.fromhex(text.translate(_FROM_LETTERS)).decode()


def thread_key(thread: str) -> str:
    """Prefix of everything of a thread."""
    return f"{ROOT}{_short(thread, 24)}/"


def checkpoints_key(thread: str, ns: str) -> str:
    """Prefix of the checkpoints of a namespace, the newest first."""
    return f"{thread_key(thread)}c/{_short(ns, 16)}/"


def checkpoint_key(thread: str, ns: str, checkpoint_id: str) -> str:
    """One checkpoint. Raises ValueError for an id that is too long."""
    if len(checkpoint_id.encode()) > MAX_ID:
        raise ValueError(f"checkpoint_id is longer than {MAX_ID} bytes")
    return f"{checkpoints_key(thread, ns)}{letters(checkpoint_id)}{_END}/"


def value_key(thread: str, ns: str, channel: str, version: object) -> str:
    """The value of a channel at a version."""
    exact = _short(f"{channel}\x00{version}", 32)
    return f"{thread_key(thread)}v/{_short(ns, 16)}/{exact}/"


def writes_key(thread: str, ns: str, checkpoint_id: str, task_id: str | None = None) -> str:
    """What tasks wrote after a checkpoint; of one of them, if named."""
    prefix = f"{thread_key(thread)}w/{_short(ns, 16)}/{_short(checkpoint_id, 24)}/"
    return prefix if task_id is None else f"{prefix}{_short(task_id, 24)}/"


def is_checkpoint(key: str) -> bool:
    """Whether a key is one of a checkpoint."""
    return key.removeprefix(ROOT).split("/")[1] == "c"


def moved(key: str, source: str, target: str) -> str:
    """The same place in another thread."""
    return thread_key(target) + key.removeprefix(thread_key(source))


def _short(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length].translate(_TO_LETTERS)

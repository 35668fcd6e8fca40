"""`python -m cadre_guard.analysis.worker`: scans texts that its parent sends over standard input.

It imports the detection library and nothing else of the guard, holds no credential and no socket, and dies
with its parent. A request is a pickle (the parent is trusted); an answer is JSON (this process has read
hostile text). Both are preceded by their length in 4 bytes.
"""

import contextlib
import ctypes
import json
import os
import pickle
import signal
import sys
from collections.abc import Sequence

from cadre_detect import DetectConfig, DetectionError, Detector, Finding
from cadre_detect.ner import leave_out_programs
from cadre_guard.analysis.framing import receive, send
from cadre_guard.memory import settle_memory
from cadre_guard.sandbox.kernel import hide_from_ptrace

_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Answer until standard input ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        hide_from_ptrace()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not stand among the answers
    leave_out_programs()
    server = _Server()
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            send(answers, json.dumps(server.answer(receive(questions))).encode())
    return 0


class _Server:
    def __init__(self) -> None:
        self._detector: Detector | None = None

    def answer(self, message: bytes) -> object:
        """Spans of each text, or the reason why there are none; never a word of a text."""
        try:
            asked = pickle.loads(message)  # noqa: S301 - from our parent alone
            if isinstance(asked, DetectConfig):
                return self._configure(asked)
            return {"spans": [self._scan(text, prose) for text, prose in asked]}
        except DetectionError as error:
            return {"reason": error.reason, "message": str(error) if "Recognizer" in error.reason else ""}
        except Exception as error:  # any fault means that the text is not judged
            return {"reason": "DetectorFailed", "message": type(error).__name__}

    def _configure(self, config: DetectConfig) -> object:
        detector = Detector(config)
        detector.warm_up()
        self._detector = detector
        settle_memory()
        return {"spans": []}

    def _scan(self, text: str, prose: bool) -> Sequence[Sequence[object]]:
        if self._detector is None:
            raise DetectionError("GuardNotReady")
        return [_packed(finding) for finding in self._detector.scan(text, prose=prose)]


def _packed(finding: Finding) -> Sequence[object]:
    return (finding.entity_type, finding.start, finding.end, finding.score, finding.data_class)


if __name__ == "__main__":
    sys.exit(main())

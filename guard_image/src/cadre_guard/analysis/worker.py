"""`python -m cadre_guard.analysis.worker`: scans texts that its parent sends over standard input.

It imports the detection library and nothing else of the guard, holds no credential and no socket, and dies
with its parent. A request is a pickle (the parent is trusted); an answer is JSON (this process has read
hostile text). Both are preceded by their length in 4 bytes. How many configurations it keeps ready is its
argument; parent and worker forget the one that was used least recently, each by itself.
"""

import contextlib
import ctypes
import json
import os
import pickle
import signal
import sys
from collections import OrderedDict
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
    server = _Server(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            send(answers, json.dumps(server.answer(receive(questions))).encode())
    return 0


class _Server:
    def __init__(self, most: int) -> None:
        self._detectors: OrderedDict[bytes, Detector] = OrderedDict()
        self._most = most

    def answer(self, message: bytes) -> object:
        """Spans of each text, or the reason why there are none; never a word of a text."""
        try:
            revision, asked = pickle.loads(message)  # noqa: S301 - from our parent alone
            if isinstance(asked, DetectConfig):
                return self._configure(revision, asked)
            detector = self._detector(revision)
            return {"spans": [_spans(detector, text, prose) for text, prose in asked]}
        except DetectionError as error:
            return {"reason": error.reason, "message": str(error) if "Recognizer" in error.reason else ""}
        except Exception as error:  # any fault means that the text is not judged
            return {"reason": "DetectorFailed", "message": type(error).__name__}

    def _configure(self, revision: bytes, config: DetectConfig) -> object:
        detector = Detector(config)
        detector.warm_up()
        self._detectors[revision] = detector
        if len(self._detectors) > self._most:
            self._detectors.popitem(last=False)
        settle_memory()
        return {"spans": []}

    def _detector(self, revision: bytes) -> Detector:
        if revision not in self._detectors:
            raise DetectionError("GuardNotReady")
        self._detectors.move_to_end(revision)
        return self._detectors[revision]


def _spans(detector: Detector, text: str, prose: bool) -> Sequence[Sequence[object]]:
    return [_packed(finding) for finding in detector.scan(text, prose=prose)]


def _packed(finding: Finding) -> Sequence[object]:
    return (finding.entity_type, finding.start, finding.end, finding.score, finding.data_class)


if __name__ == "__main__":
    sys.exit(main())

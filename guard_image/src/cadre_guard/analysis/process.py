"""One worker process as its parent sees it: started when needed, killed when it is late, never trusted to be
there.

Calls block; the pool makes them in threads of its own.
"""

import contextlib
import json
import os
import pickle
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence

from cadre_detect import DetectConfig, DetectionError, Finding
from cadre_guard.analysis.framing import receive, send
from cadre_guard.analysis.scanner import Question

Spans = list[tuple[Finding, ...]]

_START_SECONDS = 120.0
_BASE_SECONDS = 60.0
_SECONDS_PER_CHARACTER = 0.002
"""A hundred times what a scan takes: a starved machine makes a request late, only a stuck one ends it."""


class WorkerProcess:
    """Scans one batch at a time. Configurations are known by their revision."""

    def __init__(self, configurations: int = 1) -> None:
        """`configurations`: how many it keeps ready."""
        self._process: subprocess.Popen[bytes] | None = None
        self._most = configurations
        self._ready: OrderedDict[bytes, None] = OrderedDict()
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Of the process that was started last and not ended."""
        process = self._process
        return process.pid if process is not None else None

    def scan(self, config: DetectConfig, revision: bytes, questions: Sequence[Question]) -> Spans:
        """Findings of each text under a configuration; raises DetectionError when there is no answer."""
        self.configure(config, revision)
        self._ready.move_to_end(revision)
        size = sum(len(text) for text, _ in questions)
        answer = self._ask((revision, list(questions)), _BASE_SECONDS + size * _SECONDS_PER_CHARACTER)
        if len(answer) != len(questions):
            self.kill()
            raise DetectionError("DetectorFailed", "the worker answered something else")
        return answer

    def configure(self, config: DetectConfig, revision: bytes) -> None:
        """Start a process when there is none, and give it the configuration; raises DetectionError."""
        self.start()
        if revision in self._ready:
            return
        self._ask((revision, config), _START_SECONDS)
        self._ready[revision] = None
        if len(self._ready) > self._most:
            self._ready.popitem(last=False)

    def start(self) -> None:
        """Start a process when there is none; raises DetectionError."""
        if self._process is None or self._process.poll() is not None:
            self._start()

    def close(self) -> None:
        """End the process for good; a call under way fails."""
        self._closed = True
        self.kill()

    def kill(self) -> None:
        """End the process; the next scan starts another."""
        process, self._process = self._process, None
        self._ready.clear()
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError, ValueError):
                        pipe.close()

    def _start(self) -> None:
        self.kill()
        if self._closed:
            raise DetectionError("DetectorDied", "the guard ends")
        command = [sys.executable, "-m", "cadre_guard.analysis.worker", str(self._most)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={
                    **os.environ,
                    "MALLOC_ARENA_MAX": "1",
                    "OMP_NUM_THREADS": "1",
                    "OPENBLAS_NUM_THREADS": "1",
                },
            )
        except OSError as error:
            raise DetectionError("DetectorFailed", f"no worker: {error.strerror}") from None

    def _ask(self, message: object, seconds: float) -> Spans:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise DetectionError("DetectorDied", "the worker went away")
        expired = threading.Event()

        def end() -> None:
            expired.set()
            process.kill()

        late = threading.Timer(seconds, end)
        late.daemon = True
        late.start()
        try:
            send(process.stdin, pickle.dumps(message))
            answer = json.loads(receive(process.stdout))
        except (OSError, ValueError, EOFError):
            reason = "DetectorTimeout" if expired.is_set() else "DetectorDied"
            self.kill()
            raise DetectionError(reason, "the worker did not answer") from None
        finally:
            late.cancel()
        if "spans" not in answer:
            raise DetectionError(str(answer.get("reason", "DetectorFailed")), str(answer.get("message", "")))
        return [tuple(Finding(*span) for span in spans) for spans in answer["spans"]]

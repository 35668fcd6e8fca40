"""Ctrl-C at any moment of a command's life is one word and 130, never a traceback."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import signal
from cadre_local.cli.main import main

install = signal.signal

def told(*given):
    before = install(*given)
    print(flush=True)
    return before

signal.signal = told
main()
"""
"""It says when it has taken Ctrl-C over: before that a program is not yet ours."""


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.15, 0.3, 0.6, 1.5])
def test_ctrl_c_is_one_word(seconds: float, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = {
            **os.environ,
            "CADRE_HOME": str(tmp_path),
            "CADRE_TOKEN": "t",
            "CADRE_SERVER": f"http://127.0.0.1:{silent.getsockname()[1]}",
        }
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "task", "show", "x"],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors.strip()) == (130, "interrupted")

"""What an agent could inherit from the user who started it: keys, core dumps, variables, open files."""

import ctypes
import os
from pathlib import Path

import pytest

from tests.integration.guard.test_sandbox import PYTHON, _output, _shell, _spec

ADD_KEY, REQUEST_KEY = 248, 249
SESSION_KEYRING = -3
LOOK = f"""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print("found" if libc.syscall({REQUEST_KEY}, b"user", b"cadre-probe", None, 0) > 0 else "nothing")
"""


@pytest.mark.parametrize("isolate", [True, False])
async def test_the_users_keys_stay_with_the_user(tmp_path: Path, isolate: bool) -> None:
    if os.uname().machine != "x86_64" or not PYTHON.exists():
        pytest.skip("the system call numbers here are x86_64's, and the agent's part is Python")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(ADD_KEY, b"user", b"cadre-probe", b"secret", 6, SESSION_KEYRING) < 0:
        pytest.skip(f"no keyrings here: {os.strerror(ctypes.get_errno())}")
    assert libc.syscall(REQUEST_KEY, b"user", b"cadre-probe", None, 0) > 0
    spec = _spec(PYTHON, "-c", LOOK, isolate=isolate, home=tmp_path / "home")
    assert (await _output(spec)).strip() == "nothing"


@pytest.mark.parametrize("isolate", [True, False])
async def test_a_crash_leaves_no_memory_on_the_disk(tmp_path: Path, isolate: bool) -> None:
    assert (await _shell(tmp_path, "ulimit -Hc", isolate=isolate)).strip() == "0"


async def test_neither_variables_nor_open_files_come_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CADRE_KEYSTORE_PASSPHRASE", "of the user")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with (tmp_path / "open").open("w") as kept:
        os.set_inheritable(kept.fileno(), True)
        told = await _shell(tmp_path, "env; ls /proc/self/fd | sort -n | tr '\\n' ' '")
    assert "of the user" not in told and "PROXY" not in told
    descriptors = told.splitlines()[-1].split()
    assert set(map(int, descriptors)) <= {0, 1, 2, 3}, "3 is the directory that ls reads"


async def test_the_kernels_settings_and_system_files_are_not_writable(tmp_path: Path) -> None:
    """Opened for writing only: a test that fails must not change the machine it runs on."""
    script = """
    for f in /proc/sys/kernel/core_pattern /proc/sys/vm/swappiness /proc/sysrq-trigger /proc/1/mem \\
             /proc/self/oom_score_adj /sys/kernel/x /etc/passwd /usr/x /dev/x; do
      (: >> $f) 2>/dev/null && echo "opened $f"
    done
    echo end
    """
    assert (await _shell(tmp_path, script)).split() == ["end"]

"""The state directory: who may read it, what is refused, and one supervisor at a time."""

import os
import stat
from pathlib import Path

import pytest

from cadre_local.errors import CadreError, Exit
from cadre_local.lock import acquire, held
from cadre_local.paths import Home, find_home, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_directories_are_private_and_wider_ones_are_corrected(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.root.mkdir(mode=0o777)
    home.root.chmod(0o777)
    home.create()
    assert mode(home.root) == (0o711 if os.geteuid() == 0 else 0o700)
    assert {mode(path) for path in (home.bootstrap, home.logs, home.chart)} == {0o700}


def test_cadre_home_names_the_directory(tmp_path: Path) -> None:
    assert find_home({"CADRE_HOME": str(tmp_path / "x")}).root == tmp_path / "x"


def test_a_path_too_long_for_a_socket_is_refused_with_the_fix() -> None:
    with pytest.raises(CadreError) as caught:
        Home(Path("/tmp") / ("x" * 90)).check()
    assert caught.value.reason == "HomePathTooLong"
    assert "CADRE_HOME" in caught.value.fix


def test_a_private_file_replaces_whatever_was_there(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old")
    file.chmod(0o666)
    write_private(file, "new")
    assert (file.read_text(), mode(file)) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [file]


def test_a_second_supervisor_learns_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = acquire(path)
    assert held(path)
    with pytest.raises(CadreError) as caught:
        acquire(path)
    assert caught.value.reason == "AlreadyRunning"
    assert caught.value.code is Exit.CONFLICT
    assert str(os.getpid()) in caught.value.message
    first.release()
    assert not held(path)
    acquire(path).release()

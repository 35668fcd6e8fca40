"""The embedded Postgres refuses what it cannot do safely."""

from pathlib import Path

import pytest

from cadre_local import postgres
from cadre_local.errors import CadreError
from cadre_local.paths import Home


def test_data_of_another_major_version_is_refused_not_guessed_at(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.pg.mkdir()
    (home.pg / "PG_VERSION").write_text("16\n")
    with pytest.raises(CadreError) as caught:
        postgres.check_data_version(home, 18)
    assert caught.value.reason == "PostgresDataVersion"
    assert "pg_dumpall" in caught.value.fix
    assert (home.pg / "PG_VERSION").read_text() == "16\n"


def test_a_missing_package_names_both_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "PACKAGE", "no_such_package")
    with pytest.raises(CadreError) as caught:
        postgres.find_install()
    assert caught.value.reason == "PostgresMissing"
    assert "pip install" in caught.value.fix
    assert "CADRE_DATABASE_URL" in caught.value.fix


def test_the_server_listens_on_nothing_but_its_socket(tmp_path: Path) -> None:
    home = Home(tmp_path)
    install = postgres.Install(Path("/x/bin"), 18)
    spec = postgres._program(home, install, postgres.Account())
    assert "listen_addresses=" in spec.command
    assert "unix_socket_permissions=0700" in spec.command

"""Which goose is used: named, found, installed; and every way in which that fails says what to do."""

import json
from pathlib import Path

import pytest

from cadre_local import goose
from cadre_local.errors import CadreError
from cadre_local.goose import INTEGRITY, GooseSearch, parse_version, platform_name

PACKAGE = "node_modules/@aaif/goose-binary-linux-x64"


def program(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def fake_goose(path: Path, version: str = "1.52.0") -> Path:
    return program(path, f"echo ' {version}'")


def npm(directory: Path, integrity: str) -> Path:
    """An npm that delivers one package with a digest of the test's choosing."""
    lock = json.dumps({"packages": {PACKAGE: {"integrity": integrity}}})
    body = f"""
while [ "$1" != --prefix ]; do shift; done
mkdir -p "$2/{PACKAGE}/bin"
printf '#!/bin/sh\\necho 1.52.0\\n' > "$2/{PACKAGE}/bin/goose"
chmod 755 "$2/{PACKAGE}/bin/goose"
cat > "$2/node_modules/.package-lock.json" <<'END'
{lock}
END
"""
    return program(directory / "npm", body)


def search(tmp_path: Path, *, named: str = "", platform: str = "linux-x64") -> GooseSearch:
    environ = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"} | ({"CADRE_GOOSE": named} if named else {})
    return GooseSearch(environ, tmp_path / "cache", platform)


def refused(found: GooseSearch) -> CadreError:
    with pytest.raises(CadreError) as caught:
        found.resolve()
    assert caught.value.fix
    return caught.value


def test_a_named_binary_wins(tmp_path: Path) -> None:
    binary = fake_goose(tmp_path / "mine" / "goose", "1.60.1")
    fake_goose(tmp_path / "bin" / "goose")
    found = search(tmp_path, named=str(binary)).resolve()
    assert (found.path, found.version, found.source) == (binary, "1.60.1", "CADRE_GOOSE")


def test_a_named_binary_that_is_not_there_is_never_replaced(tmp_path: Path) -> None:
    fake_goose(tmp_path / "bin" / "goose")
    assert refused(search(tmp_path, named="/no/goose")).reason == "GooseMissing"


@pytest.mark.parametrize(("version", "reason"), [("1.51.9", "GooseTooOld"), ("words", "GooseTooOld")])
def test_an_old_or_strange_binary_is_refused(tmp_path: Path, version: str, reason: str) -> None:
    binary = fake_goose(tmp_path / "goose", version)
    assert refused(search(tmp_path, named=str(binary))).reason == reason


def test_a_binary_that_does_not_run_is_refused(tmp_path: Path) -> None:
    binary = program(tmp_path / "goose", "exit 3")
    assert refused(search(tmp_path, named=str(binary))).reason == "GooseBroken"


def test_an_old_one_on_path_makes_way_for_the_pinned_one(tmp_path: Path) -> None:
    fake_goose(tmp_path / "bin" / "goose", "1.20.0")
    npm(tmp_path / "bin", INTEGRITY["linux-x64"])
    found = search(tmp_path).resolve()
    assert (found.source, found.version) == ("npm", "1.52.0")


def test_npm_installs_once_and_the_digest_is_recorded(tmp_path: Path) -> None:
    installer = npm(tmp_path / "bin", INTEGRITY["linux-x64"])
    first = search(tmp_path).resolve()
    record = json.loads((tmp_path / "cache" / "goose-1.52.0" / "digest.json").read_text())
    assert record["integrity"] == INTEGRITY["linux-x64"]
    assert len(record["sha256"]) == 64
    installer.unlink()
    assert search(tmp_path).resolve() == first


def test_a_cached_binary_that_changed_is_not_used(tmp_path: Path) -> None:
    installer = npm(tmp_path / "bin", INTEGRITY["linux-x64"])
    found = search(tmp_path).resolve()
    found.path.write_text("#!/bin/sh\necho 1.52.0 and something else\n")
    installer.unlink()
    assert search(tmp_path).cached() is None


def test_another_digest_than_the_pinned_one_is_thrown_away(tmp_path: Path) -> None:
    npm(tmp_path / "bin", "sha512-somethingelse")
    assert refused(search(tmp_path)).reason == "GooseDigestMismatch"
    assert not (tmp_path / "cache" / "goose-1.52.0").exists()


def test_a_failing_npm_is_quoted(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "npm", "echo 'npm error network is down' >&2; exit 1")
    error = refused(search(tmp_path))
    assert error.reason == "GooseInstallFailed"
    assert "network is down" in error.message


def test_no_goose_and_no_npm(tmp_path: Path) -> None:
    found = GooseSearch({"PATH": str(tmp_path)}, tmp_path / "cache", "linux-x64")
    assert not found.installable
    assert "npm" in refused(found).message


def test_a_platform_without_a_pinned_package_is_never_downloaded(tmp_path: Path) -> None:
    npm(tmp_path / "bin", "")
    error = refused(search(tmp_path, platform="plan9-mips"))
    assert (error.reason, "plan9-mips" in error.message) == ("GooseMissing", True)


def test_names_and_versions() -> None:
    assert platform_name("linux", "x86_64") == "linux-x64"
    assert platform_name("darwin", "arm64") == "darwin-arm64"
    assert parse_version("goose 1.52.0 (abc)") == (1, 52, 0) == goose.PINNED
    assert parse_version("none") == ()

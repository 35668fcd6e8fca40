"""A root key: replicas that share one Secret and nothing else have the same keys, and lose none."""

import json
from pathlib import Path

import pytest

from cadre_controller.errors import KeystoreError
from cadre_controller.keystore import KeyStore

ROOT = bytes(range(32))


def root(folder: Path, content: bytes = ROOT, mode: int = 0o440) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "key"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_replicas_agree_without_writing_anything(tmp_path: Path) -> None:
    one, two = (KeyStore.open(root(tmp_path / name)) for name in ("one", "two"))
    assert one.jwt_key().private_bytes_raw() == two.jwt_key().private_bytes_raw()
    assert one.tenant("acme") == two.tenant("acme")
    assert two.tenant("acme").unseal(one.tenant("acme").seal(b"x", "row"), "row") == b"x"
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["key"]


def test_every_key_is_another(tmp_path: Path) -> None:
    store = KeyStore.open(root(tmp_path))
    tenants = [store.tenant(name) for name in ("acme", "acme2")]
    keys = [key for t in tenants for key in (t.token_key, t.map_key, t.person_key)]
    signers = [key.private_bytes_raw() for key in (store.jwt_key(), store.bundle_key(), store.audit_key())]
    other = KeyStore.open(root(tmp_path / "other", ROOT[::-1])).tenant("acme").token_key
    assert len({*keys, *signers, other, ROOT}) == 11


def test_the_derivation_never_changes(tmp_path: Path) -> None:
    """Another value here means that no database in use can be read any more."""
    keys = KeyStore.open(root(tmp_path)).tenant("acme")
    assert keys.token_key.hex() == "696900a0fa9e1140b6e3d70ca053d3ef40d81a339c3ff58083f1721df2fdb16d"
    assert keys.token_version == "1"


def test_it_holds_no_credentials(tmp_path: Path) -> None:
    store = KeyStore.open(root(tmp_path))
    assert store.get_secret("secret/openai/apiKey") is None
    with pytest.raises(KeystoreError, match="KeystoreReadOnly"):
        store.put_secret("secret/openai/apiKey", "x")


def test_a_root_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="KeystoreKeyExposed"):
        KeyStore.open(root(tmp_path, mode=0o444))


def test_a_sealed_keystore_stays_what_it_is(tmp_path: Path) -> None:
    path, key = tmp_path / "keystore.json", tmp_path / "keystore.key"
    made = KeyStore.open(path, key_file=key).tenant("acme")
    assert json.loads(path.read_text())["format"] == "cadre-keystore/1"
    assert KeyStore.open(path, key_file=key).tenant("acme") == made

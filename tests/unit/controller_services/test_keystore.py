"""The keystore: nothing readable on disk, the same keys after a restart, a clear word when the key is
wrong."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cadre_controller.errors import KeystoreError
from cadre_controller.keystore import KeyStore
from cadre_controller.sealed_file import write_private


def open_store(folder: Path, **how: object) -> KeyStore:
    settings: dict[str, object] = {"key_file": folder / "key", **how}
    return KeyStore.open(folder / "keystore.json", **settings)  # type: ignore[arg-type]


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    first = open_store(tmp_path)
    tenant = first.tenant("acme")
    sealed = tenant.seal(b"secret value", "here")
    first.put_secret("secret/openai/apiKey", "sk-very-secret")
    again = open_store(tmp_path)
    assert again.jwt_key().private_bytes_raw() == first.jwt_key().private_bytes_raw()
    assert again.tenant("acme") == tenant
    assert again.tenant("acme").unseal(sealed, "here") == b"secret value"
    assert again.get_secret("secret/openai/apiKey") == "sk-very-secret"
    assert again.get_secret("secret/none") is None
    assert again.secret_names() == ("secret/openai/apiKey",)


def test_programs_that_share_the_file_lose_nothing_of_each_other(tmp_path: Path) -> None:
    one, two = open_store(tmp_path), open_store(tmp_path)
    assert one.jwt_key().private_bytes_raw() == two.jwt_key().private_bytes_raw()
    assert one.tenant("acme") == two.tenant("acme")
    one.put_secret("secret/openai/apiKey", "first")
    two.put_secret("secret/other/apiKey", "second")
    assert two.get_secret("secret/openai/apiKey") == "first"
    one.put_secret("secret/openai/apiKey", "rotated")
    assert two.get_secret("secret/openai/apiKey") == "rotated"
    assert one.get_secret("secret/other/apiKey") == "second"
    assert open_store(tmp_path).tenant("acme") == one.tenant("acme")


def test_programs_that_start_together_make_one_keystore(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: open_store(tmp_path), range(8)))
        tenants = list(pool.map(lambda store: store.tenant("acme"), stores))
    assert len({store.audit_key().private_bytes_raw() for store in stores}) == 1
    assert len({tenant.token_key for tenant in tenants}) == 1


def test_nothing_is_readable_on_disk(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.put_secret("secret/openai/apiKey", "sk-very-secret")
    text = (tmp_path / "keystore.json").read_text()
    assert "sk-very" not in text
    assert "openai" not in text
    assert set(json.loads(text)) == {"format", "salt", "sealed"}
    for name in ("keystore.json", "key"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in tmp_path.iterdir()) == ["key", "keystore.json"]
    assert "token_key=" not in repr(store.tenant("acme"))


def test_tenants_cannot_be_linked(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    a, b = store.tenant("a"), store.tenant("b")
    assert a.token_key != b.token_key
    assert a.person_id("idp", "x") != b.person_id("idp", "x")
    assert a.person_id("idp", "x") == a.person_id("idp", "x")
    assert a.person_id("idpx", "") != a.person_id("idp", "x")
    sealed = a.seal(b"value", "context")
    for keys, context in ((b, "context"), (a, "another")):
        with pytest.raises(KeystoreError, match="SealBroken"):
            keys.unseal(sealed, context)


def test_passphrase(tmp_path: Path) -> None:
    made = open_store(tmp_path, key_file=None, passphrase="correct horse")
    same = open_store(tmp_path, key_file=None, passphrase="correct horse")
    assert same.bundle_key().private_bytes_raw() == made.bundle_key().private_bytes_raw()
    with pytest.raises(KeystoreError, match="KeystoreWrongKey"):
        open_store(tmp_path, key_file=None, passphrase="wrong horse")
    with pytest.raises(KeystoreError, match="KeystoreNoKey"):
        open_store(tmp_path, key_file=None)


def test_wrong_or_exposed_key_files_are_refused(tmp_path: Path) -> None:
    open_store(tmp_path)
    key = tmp_path / "key"
    write_private(key, b"x" * 32)
    with pytest.raises(KeystoreError, match="KeystoreWrongKey"):
        open_store(tmp_path)
    write_private(key, b"short")
    with pytest.raises(KeystoreError, match="KeystoreWrongKey"):
        open_store(tmp_path)
    key.chmod(0o644)
    with pytest.raises(KeystoreError, match="KeystoreKeyExposed"):
        open_store(tmp_path)
    key.unlink()
    with pytest.raises(KeystoreError, match="KeystoreNoKey"):
        open_store(tmp_path)


@pytest.mark.parametrize("content", ["", "{}", "not json", '{"format": "x", "salt": "%", "sealed": ""}'])
def test_broken_files_are_refused(tmp_path: Path, content: str) -> None:
    open_store(tmp_path)
    (tmp_path / "keystore.json").write_text(content)
    with pytest.raises(KeystoreError) as refusal:
        open_store(tmp_path)
    assert refusal.value.reason == "KeystoreUnreadable"
    assert refusal.value.fix


def test_other_formats_are_refused(tmp_path: Path) -> None:
    open_store(tmp_path)
    path = tmp_path / "keystore.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": "cadre-keystore/99"}))
    with pytest.raises(KeystoreError, match="KeystoreFormat"):
        open_store(tmp_path)

"""The controller's environment: what is read, what is refused, and that refusals name the variable."""

from pathlib import Path

import pytest

from cadre_controller.settings import Listen, LocalHosts, SettingsError, from_environment

MINIMAL = {"CADRE_DATABASE_URL": "postgresql:///x", "CADRE_KEYSTORE": "/tmp/keystore.json"}


def test_defaults_are_those_of_the_protocol() -> None:
    settings = from_environment(MINIMAL)
    assert str(settings.public_listen) == "127.0.0.1:7440"
    assert str(settings.guard_listen) == "127.0.0.1:7441"
    assert (settings.lease_ttl, settings.desktop, settings.log_level) == (15, False, "INFO")
    assert settings.bootstrap_dir is None and settings.desktop_token_file is None


def test_desktop_paths_lie_under_the_home() -> None:
    settings = from_environment({**MINIMAL, "CADRE_HOME": "/h", "CADRE_DESKTOP": "1"})
    assert settings.desktop
    assert settings.bootstrap_dir == Path("/h/run/bootstrap")
    assert settings.desktop_token_file == Path("/h/run/desktop.token")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"CADRE_DATABASE_URL": ""}, "CADRE_DATABASE_URL is not set"),
        ({"CADRE_PUBLIC_LISTEN": "7440"}, "CADRE_PUBLIC_LISTEN must be host:port"),
        ({"CADRE_GUARD_LISTEN": "127.0.0.1:99999"}, "CADRE_GUARD_LISTEN"),
        ({"CADRE_LEASE_TTL": "0"}, "CADRE_LEASE_TTL"),
        ({"CADRE_LEASE_TTL": "soon"}, "CADRE_LEASE_TTL"),
        ({"CADRE_STOP_SECONDS": "0"}, "CADRE_STOP_SECONDS"),
        ({"CADRE_LOG_LEVEL": "LOUD"}, "CADRE_LOG_LEVEL must be DEBUG"),
        ({"CADRE_LOCAL_HOSTS": "10.0.0.0/99"}, "CADRE_LOCAL_HOSTS"),
        ({"CADRE_LOCAL_HOSTS": "ollama"}, "CADRE_LOCAL_HOSTS"),
    ],
)
def test_a_wrong_variable_is_named_with_the_fix(change: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match="set it in the environment") as refused:
        from_environment({**MINIMAL, **change})
    assert named in str(refused.value)


def test_a_webhook_is_never_unsigned(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="belong together"):
        from_environment({**MINIMAL, "CADRE_WEBHOOK_URL": "https://hooks.example/x"})
    with pytest.raises(SettingsError, match="CADRE_WEBHOOK_URL"):
        from_environment({**MINIMAL, "CADRE_WEBHOOK_URL": "ftp://hooks.example"})
    key = tmp_path / "key"
    key.write_text("k")
    both = {"CADRE_WEBHOOK_URL": "https://hooks.example/x", "CADRE_WEBHOOK_SECRET_FILE": str(key)}
    assert from_environment({**MINIMAL, **both}).webhook_secret_file == key


def test_mails_have_a_server_a_sender_and_no_password_without_tls() -> None:
    mail = {"CADRE_SMTP_SERVER": "mail.example:587", "CADRE_MAIL_FROM": "cadre@example.com"}
    login = {"CADRE_SMTP_USER": "cadre", "CADRE_SMTP_PASSWORD": "open sesame"}
    server = from_environment({**MINIMAL, **mail, **login}).mail_server
    assert server is not None and str(server.address) == "mail.example:587" and "sesame" not in repr(server)
    assert from_environment(MINIMAL).mail_server is None
    for wrong in (
        {"CADRE_MAIL_FROM": "cadre@example.com"},
        {"CADRE_SMTP_SERVER": "mail.example:587"},
        {**mail, "CADRE_SMTP_USER": "cadre"},
        {**mail, **login, "CADRE_SMTP_TLS": "Off"},
        {**mail, "CADRE_SMTP_TLS": "Maybe"},
        {**mail, "CADRE_SMTP_SERVER": "mail.example"},
    ):
        with pytest.raises(SettingsError, match="CADRE_"):
            from_environment({**MINIMAL, **wrong})


def test_a_secret_never_shows_in_the_settings_text() -> None:
    settings = from_environment({**MINIMAL, "CADRE_KEYSTORE_PASSPHRASE": "open sesame"})
    assert "sesame" not in repr(settings)


def test_local_hosts_are_exact_endpoints_or_addresses_in_networks() -> None:
    hosts = LocalHosts.parse("ollama.lan:11434, 10.1.0.0/16, [::1]:8080")
    assert hosts.includes("OLLAMA.lan", 11434)
    assert hosts.includes("10.1.2.3", 9999)
    assert hosts.includes("::1", 8080)
    assert not hosts.includes("ollama.lan", 443)
    assert not hosts.includes("10.2.0.1", 80)
    assert not hosts.includes("ollama.lan.evil.example", 11434)
    assert not LocalHosts().includes("127.0.0.1", 80)


def test_ipv6_listeners_are_written_with_brackets() -> None:
    assert str(Listen.parse("[::1]:7440")) == "[::1]:7440"

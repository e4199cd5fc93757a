"""Accounts as the settings want them: secret, mailer, lifetimes, providers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from tests.support.people import HERE, PASSWORD, SECRET

from caseframe.accounts.mail import OutboxMailer
from caseframe.accounts.smtp import SmtpMailer
from caseframe.catalog.database import open_sqlite
from caseframe.cli.accounts import local_accounts, mailer, providers, token_secret
from caseframe.domain.access import SignUpPolicy
from caseframe.domain.errors import UsageError
from caseframe.domain.people import NewAccount
from caseframe.domain.providers import Provider
from caseframe.settings import load_settings


def test_by_default_a_case_needs_nothing_else(tmp_path: Path) -> None:
    catalog = open_sqlite(tmp_path / "catalog.sqlite")
    accounts = local_accounts(catalog, tmp_path, load_settings(), "http://127.0.0.1:3000")
    assert accounts.policy() is SignUpPolicy.INVITED
    root = NewAccount("Ro", "Ot", "root@example.org", PASSWORD)
    pair = accounts.create_first_administrator(accounts.first_key() or "", root, HERE)
    who = accounts.validate(pair.access)
    accounts.invite(who, "anna@example.org", who.role)
    (mail,) = (tmp_path / "outbox").iterdir()
    assert "http://127.0.0.1:3000/auth/invitation?key" in mail.read_text().replace("=\n", "")
    assert (tmp_path / "token.key").exists()
    assert providers(load_settings(), accounts).providers() == ()
    accounts.close()
    catalog.close()


def test_what_is_set_holds(tmp_path: Path) -> None:
    settings = load_settings(
        token_secret=SECRET, public_url="https://case.example.org", sign_up="open",
        access_token_minutes=5, refresh_token_hours=2,
        oauth_providers=[Provider(name="google", kind="google", client_id="x", client_secret="y")],  # type: ignore[arg-type]
    )  # fmt: skip
    catalog = open_sqlite(tmp_path / "catalog.sqlite")
    accounts = local_accounts(catalog, tmp_path, settings, "http://127.0.0.1:3000")
    options = accounts._parts.options
    assert (options.public_url, options.policy) == ("https://case.example.org", "open")
    assert (options.access_life, options.refresh_life) == (
        timedelta(minutes=5),
        timedelta(hours=2),
    )
    assert [button.title for button in providers(settings, accounts).providers()] == ["Google"]
    assert not (tmp_path / "token.key").exists()
    accounts.close()
    catalog.close()


def test_secrets_come_from_settings_or_files(tmp_path: Path) -> None:
    file = tmp_path / "given"
    file.write_text(SECRET.get_secret_value() + "\n")
    assert token_secret(tmp_path, load_settings(token_secret_file=file)) == SECRET
    with pytest.raises(UsageError, match="sample"):
        token_secret(tmp_path, load_settings(token_secret=SecretStr("changeme" * 8)))


def test_the_mail_server_of_the_settings(tmp_path: Path) -> None:
    assert isinstance(mailer(tmp_path, load_settings()), OutboxMailer)
    file = tmp_path / "password"
    file.write_text("sesame\n")
    made = mailer(
        tmp_path,
        load_settings(smtp_host="mail.example.org", smtp_user="cf", smtp_password_file=file),
    )
    assert isinstance(made, SmtpMailer)
    assert made._options.password == SecretStr("sesame")
    assert "sesame" not in repr(made._options)
    with pytest.raises(UsageError, match="cannot be read"):
        mailer(tmp_path, load_settings(smtp_host="x", smtp_password_file=tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="in the clear"):
        mailer(
            tmp_path,
            load_settings(smtp_host="x", smtp_tls="none", smtp_password=SecretStr("sesame")),
        )


def test_secrets_do_not_show_and_are_not_handed_down(tmp_path: Path) -> None:
    given = {
        "token_secret": SecretStr("xyzzy-one"),
        "smtp_password": SecretStr("xyzzy-two"),
        "oauth_providers": [
            Provider(name="hub", client_id="x", client_secret=SecretStr("xyzzy-three"),
                     discovery_url="https://hub.example.org")
        ],
    }  # fmt: skip
    settings = load_settings(**given)
    assert "xyzzy" not in repr(settings)
    assert "xyzzy" not in repr(settings.environment())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sign_up", "everybody"), ("sign_up_role", "king"), ("smtp_tls", "maybe"),
        ("public_url", "case.example.org"), ("public_url", "https://x.example.org/?a=b"),
        ("access_token_minutes", 0), ("smtp_port", 0), ("oauth_providers", [{"name": "x"}]),
    ],
)  # fmt: skip
def test_wrong_settings_are_explained(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"setting {name}"):
        load_settings(**{name: value})


def test_a_secret_in_a_wrong_setting_is_not_shown() -> None:
    wrong = [{"name": "x", "client_id": "x", "client_secret": "xyzzy-secret", "kind": "saml"}]
    with pytest.raises(UsageError) as error:
        load_settings(oauth_providers=wrong)
    assert "xyzzy" not in str(error.value)

"""The secret behind tokens: made once, kept to oneself, refused when anybody could know it."""

from __future__ import annotations

import base64
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr
from tests.support.people import race

from caseframe.accounts.secret import SECRET_FILE, case_secret, checked, given_secret
from caseframe.domain.errors import CaseError, UsageError


def test_a_case_makes_its_secret_once(tmp_path: Path) -> None:
    first = case_secret(tmp_path)
    assert case_secret(tmp_path) == first
    assert len(first.get_secret_value()) >= 43
    assert stat.S_IMODE((tmp_path / SECRET_FILE).stat().st_mode) == 0o600
    assert [f.name for f in tmp_path.iterdir()] == [SECRET_FILE]
    assert first.get_secret_value() not in repr(first)


def test_programs_that_start_together_get_the_same_secret(tmp_path: Path) -> None:
    found = race(*[lambda: case_secret(tmp_path)] * 8)
    assert len({one.get_secret_value() for one in found if isinstance(one, SecretStr)}) == 1
    assert all(isinstance(one, SecretStr) for one in found), found


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    case_secret(tmp_path)
    (tmp_path / SECRET_FILE).chmod(0o640)
    with pytest.raises(CaseError, match="chmod 600"):
        case_secret(tmp_path)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="cannot be used"):
        case_secret(tmp_path / "nowhere")


SAMPLES = [
    "", "short", "x" * 31, "x" * 64, "changeme" * 8, "secret" * 6, "0123456789abcdef" * 4,
    "abcdefghijklmnopqrstuvwxyz0123456789", "change-this-to-a-long-random-string-please",
    "my-super-secret-key-that-nobody-knows-1", "PLEASE_REPLACE_ME_WITH_32_CHARACTERS",
    "12341234123412341234123412341234", "aabbaabbccaabbaabbccabababababccab",
    "your-256-bit-secret-your-256-bit-secret", " \n" * 40, "zyxwvutsrqponmlkjihgfedcba9876543210",
]  # fmt: skip


@pytest.mark.parametrize("text", SAMPLES)
def test_short_and_sample_secrets_are_refused(text: str, tmp_path: Path) -> None:
    """S10."""
    (tmp_path / "given").write_text(text)
    uses: list[Callable[[], SecretStr]] = [
        lambda: checked(text),
        lambda: given_secret(SecretStr(text), None),
        lambda: given_secret(None, tmp_path / "given"),
    ]
    for use in uses:
        with pytest.raises(UsageError, match="openssl rand") as error:
            use()
        assert len(text) < 31 or text not in str(error.value)


def test_random_secrets_pass() -> None:
    for _ in range(500):
        assert checked(secrets.token_hex(32))
        assert checked(secrets.token_urlsafe(32))
        assert checked(base64.b64encode(secrets.token_bytes(48)).decode())


def test_services_never_make_a_secret_up(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="CASEFRAME_TOKEN_SECRET_FILE"):
        given_secret(None, None)
    with pytest.raises(UsageError, match="cannot be read"):
        given_secret(None, tmp_path / "nowhere")
    (tmp_path / "given").write_bytes(b"\xff" * 40)
    with pytest.raises(UsageError):
        given_secret(None, tmp_path / "given")

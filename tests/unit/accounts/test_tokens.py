"""Tokens: what they prove, and every way to forge one (S9)."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from tests.support.people import SECRET, Clock

from caseframe.accounts.tokens import Kind, TokenMint, make_task_token, read_task_token
from caseframe.domain.access import TokenRefused

LIFE = timedelta(minutes=15)
MINT = TokenMint(SECRET)


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good access token, with changes; None takes one away."""
    present = datetime.now(UTC)
    good = {
        "iss": "caseframe", "aud": "caseframe/access", "sub": "u", "sid": "s", "typ": "access",
        "iat": present, "exp": present + LIFE, "jti": "j",
    }  # fmt: skip
    return {k: v for k, v in (good | changes).items() if v is not None}


def signed(**changes: Any) -> str:
    return jwt.encode(claims(**changes), SECRET.get_secret_value(), "HS256")


def test_a_token_proves_what_was_put_in() -> None:
    found = MINT.read(Kind.ACCESS, MINT.make(Kind.ACCESS, "u", LIFE, session_id="s", job="j"))
    assert (found.kind, found.subject, found.session_id) == (Kind.ACCESS, "u", "s")
    assert found.more == {"job": "j"}
    assert found.expires_at - found.issued_at == LIFE
    assert MINT.read(Kind.ACCESS, signed()).subject == "u"


def test_two_tokens_are_never_the_same() -> None:
    assert MINT.make(Kind.REFRESH, "u", LIFE) != MINT.make(Kind.REFRESH, "u", LIFE)


@pytest.mark.parametrize("made", list(Kind))
@pytest.mark.parametrize("read", list(Kind))
def test_no_kind_passes_for_another(made: Kind, read: Kind) -> None:
    token = MINT.make(made, "u", LIFE)
    if made is read:
        assert MINT.read(read, token).kind is made
    else:
        with pytest.raises(TokenRefused):
            MINT.read(read, token)


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "typ", "exp", "iat", "jti"])
def test_no_claim_may_be_missing(claim: str) -> None:
    with pytest.raises(TokenRefused):
        MINT.read(Kind.ACCESS, signed(**{claim: None}))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "other"}, {"aud": "caseframe/refresh"}, {"aud": "other"}, {"typ": "refresh"},
        {"aud": ["caseframe/access", "caseframe/refresh"]}, {"aud": ["caseframe/access"]},
        {"exp": "never"}, {"exp": 10**30}, {"exp": -(10**30)}, {"exp": [1]}, {"exp": True},
        {"exp": 0}, {"iat": "x"}, {"sub": 7}, {"sid": 7}, {"sid": ["s"]}, {"jti": 7},
        {"exp": datetime(2020, 1, 1, tzinfo=UTC)}, {"typ": ["access"]},
    ],
)  # fmt: skip
def test_no_claim_may_be_wrong(changes: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused):
        MINT.read(Kind.ACCESS, signed(**changes))


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, default=str).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
def test_unsigned_tokens_are_refused(name: str) -> None:
    good = MINT.make(Kind.ACCESS, "u", LIFE).split(".")
    header = part({"alg": name, "typ": "JWT"})
    for token in (f"{header}.{good[1]}.", f"{header}.{good[1]}.{good[2]}", f"{header}.{good[1]}"):
        with pytest.raises(TokenRefused):
            MINT.read(Kind.ACCESS, token)


def test_other_algorithms_and_other_secrets_are_refused() -> None:
    pair = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = pair.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    secret = SECRET.get_secret_value()
    for token in (
        jwt.encode(claims(), pem, "RS256"),
        jwt.encode(claims(), secret * 2, "HS512"),
        jwt.encode(claims(), secret * 2, "HS256"),
        jwt.encode(claims(), secret[::-1], "HS256"),
        jwt.encode(claims(), secret, "HS256", headers={"crit": ["x"], "x": 1}),
    ):
        with pytest.raises(TokenRefused):
            MINT.read(Kind.ACCESS, token)


def test_a_key_inside_the_token_is_not_used() -> None:
    own = part("attacker" * 4)
    headers = {"jwk": {"kty": "oct", "k": own}, "jku": "http://127.0.0.1:1/", "kid": "/dev/null"}
    token = jwt.encode(claims(), "attacker" * 4, "HS256", headers=headers)
    with pytest.raises(TokenRefused):
        MINT.read(Kind.ACCESS, token)


def test_every_changed_character_is_noticed() -> None:
    good = MINT.make(Kind.ACCESS, "u", LIFE)
    for at in range(0, len(good) - 1, 3):  # the last character has bits that mean nothing
        bad = good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :]
        with pytest.raises(TokenRefused):
            MINT.read(Kind.ACCESS, bad)


@given(st.text())
def test_no_text_is_a_token_by_chance(text: str) -> None:
    good = MINT.make(Kind.ACCESS, "u", LIFE)
    for token in (text, f"{text}.{text}.{text}", f"{good}{text or 'x'}x"):
        with pytest.raises(TokenRefused):
            MINT.read(Kind.ACCESS, token)


@pytest.mark.parametrize("token", ["", "\x00", "\ud800", "." * 1_000_000, "é.é.é", "a" * 5_000_000])
def test_nonsense_is_refused(token: str) -> None:
    with pytest.raises(TokenRefused):
        MINT.read(Kind.ACCESS, token)


def test_a_token_ends_at_its_time_and_not_before() -> None:
    clock = Clock()
    mint = TokenMint(SECRET, clock)
    token = mint.make(Kind.ACCESS, "u", LIFE)
    clock.pass_by(minutes=14, seconds=58)
    assert mint.read(Kind.ACCESS, token)
    clock.pass_by(seconds=2)
    with pytest.raises(TokenRefused, match="expired"):
        mint.read(Kind.ACCESS, token)


def test_a_task_token_is_good_for_one_job_and_nothing_else() -> None:
    token = make_task_token(MINT, "job-1", LIFE)
    assert read_task_token(MINT, token).job_id == "job-1"
    with pytest.raises(TokenRefused):
        MINT.read(Kind.ACCESS, token)
    with pytest.raises(TokenRefused):
        read_task_token(MINT, signed())


def test_what_a_token_holds_does_not_show() -> None:
    found = MINT.read(
        Kind.SIGN_IN_STATE, MINT.make(Kind.SIGN_IN_STATE, "u", LIFE, verifier="xyzzy")
    )
    assert "xyzzy" not in repr(found)
    assert SECRET.get_secret_value() not in repr(vars(MINT))

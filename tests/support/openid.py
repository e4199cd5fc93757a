"""A small OpenID provider on 127.0.0.1, which can also speak as GitHub does.

It checks what a good provider checks (client, secret, PKCE, return address, a code once), and can
be told to lie in one thing at a time.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

CLIENT, SECRET = "caseframe-tests", "s3same öffne/dich+"


@dataclass
class OpenIdProvider:
    """Who signs in there next (`person`), and the lies: claims (None takes one away), algorithm,
    answers of endpoints by path (status, body).
    """

    url: str = ""
    person: dict[str, Any] = field(
        default_factory=lambda: {
            "sub": "subject-1", "email": "anna@example.org", "email_verified": True,
            "given_name": "Anna", "family_name": "Nyström",
        }
    )  # fmt: skip
    claims: dict[str, Any] = field(default_factory=dict)
    in_token: bool = True
    algorithm: str = "RS256"
    header: dict[str, Any] = field(default_factory=dict)
    foreign_key: bool = False
    lies: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    description: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )

    def describe(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/jwks",
        } | self.description

    def jwks(self) -> dict[str, Any]:
        return {"keys": [RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True) | {"kid": "1"}]}

    def id_token(self, nonce: str) -> str:
        present = int(time.time())
        claims = {
            "iss": self.url, "aud": CLIENT, "iat": present, "exp": present + 300, "nonce": nonce,
            **(self.person if self.in_token else {"sub": self.person["sub"]}), **self.claims,
        }  # fmt: skip
        claims = {k: v for k, v in claims.items() if v is not None}
        key: Any = self.key
        if self.foreign_key:
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        if self.algorithm == "none":
            key = None
        elif self.algorithm.startswith("HS"):
            key = self.jwks()["keys"][0]["n"]  # what everybody knows of the provider's key
        return jwt.encode(claims, key, self.algorithm, headers={"kid": "1", **self.header})

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser is sent back to."""
        assert query["client_id"] == CLIENT
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def redeem(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """The token endpoint: status and answer."""
        if authorization.startswith("Basic "):
            pair = base64.b64decode(authorization[6:]).decode().split(":")
            name, secret = unquote_plus(pair[0]), unquote_plus(pair[1])
        else:
            name, secret = form.get("client_id", ""), form.get("client_secret", "")
        if (name, secret) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != challenge:
            return 400, {"error": "invalid_grant"}
        if asked["redirect_uri"] != form.get("redirect_uri"):
            return 400, {"error": "invalid_grant"}
        answer = {"access_token": "token-for-userinfo", "token_type": "Bearer", "expires_in": 60}
        if "openid" in asked["scope"].split():
            answer["id_token"] = self.id_token(asked["nonce"])
        return 200, answer

    def answer(self, path: str, query: dict[str, str], bearer: bool) -> tuple[int, Any]:
        """Everything that is asked with GET and answered with JSON."""
        if path.endswith("/.well-known/openid-configuration"):
            return 200, self.describe()
        if path == "/jwks":
            return 200, self.jwks()
        if not bearer:
            return 401, {"error": "invalid_token"}
        if path == "/userinfo":
            return 200, self.person
        if path == "/user":
            return 200, {"id": 4711, "login": "anna", "name": "Anna Maria Nyström"}
        if path == "/user/emails":
            verified = self.person["email_verified"]
            return 200, [
                {"email": "old@example.org", "primary": False, "verified": True},
                {"email": self.person["email"], "primary": True, "verified": verified},
            ]
        return 404, {"error": "not_found"}


class _Handler(BaseHTTPRequestHandler):
    provider: OpenIdProvider

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.provider.asked.append(parts.path)
        query = dict(parse_qsl(parts.query))
        if self._lied(parts.path):
            return
        if parts.path in {"/authorize", "/login/oauth/authorize"}:
            self.send_response(302)
            self.send_header("Location", self.provider.authorize(query))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        bearer = self.headers.get("Authorization") == "Bearer token-for-userinfo"
        self._json(*self.provider.answer(parts.path, query, bearer))

    def do_POST(self) -> None:
        self.provider.asked.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {k: v[0] for k, v in parse_qs(body).items()}
        if not self._lied(self.path):
            self._json(*self.provider.redeem(form, self.headers.get("Authorization", "")))

    def _lied(self, path: str) -> bool:
        if path not in self.provider.lies:
            return False
        self._send(*self.provider.lies[path])
        return True

    def _json(self, status: int, body: Any) -> None:
        self._send(status, json.dumps(body).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Quiet."""


@contextmanager
def openid_provider() -> Iterator[OpenIdProvider]:
    """A running provider."""
    provider = OpenIdProvider()
    handler = type("Handler", (_Handler,), {"provider": provider})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    provider.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def browse(url: str) -> dict[str, str]:
    """What a browser brings back from there: the query of the return address."""
    response = httpx.get(url)
    assert response.status_code == 302, response.text
    return dict(parse_qsl(urlsplit(response.headers["Location"]).query))

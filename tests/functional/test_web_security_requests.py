"""Floods, and requests of other sites; with `answers` S1, S7, S10, S18, S19 of the yardstick."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests import makers
from tests.support.served import Served, served
from tests.support.walking import ANYTHING, SAFE, documented, undocumented
from tests.support.web import FreshWeb, WebServer

GIGA, MEGA = 10**9, 10**6


# --- requests that are too much ------------------------------------------------------------------


@pytest.fixture(scope="module")
def alone(
    tmp_path_factory: pytest.TempPathFactory, cache: Path, pictures: Path
) -> Iterator[Served]:
    """A server in a process of its own."""
    with served(tmp_path_factory.mktemp("alone") / "case", pictures, cache,
                CASEFRAME_ANONYMOUS_CALLS="100000") as running:  # fmt: skip
        httpx.get(f"{running.url}/health")
        yield running


def send(at: Served, head: list[str], body: Iterable[bytes]) -> tuple[int, int]:
    """(status of the answer, bytes sent) for a request that is sent until there is an answer."""
    lines = [*head, f"Host: 127.0.0.1:{at.port}", "Connection: close", "", ""]
    sent = 0
    with socket.create_connection(("127.0.0.1", at.port), 60) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1"))
        connection.settimeout(0)
        pieces = iter(body)
        for piece in pieces:
            rest = memoryview(piece)
            while rest and not _answered(connection):
                with contextlib.suppress(BlockingIOError):
                    count = connection.send(rest)
                    rest, sent = rest[count:], sent + count
            if rest:
                break
        connection.settimeout(60)
        answer = b""
        while b"\r\n" not in answer:
            got = connection.recv(4096)
            assert got, "the connection ended without an answer"
            answer += got
    return int(answer.split()[1]), sent


def _answered(connection: socket.socket) -> bool:
    try:
        return bool(connection.recv(1, socket.MSG_PEEK)) or True
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def chunked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def flood(size: int, start: bytes = b"", filling: bytes = b"a") -> Iterator[bytes]:
    """`size` bytes and some, in pieces."""
    yield start or filling
    piece = filling * (65_536 // len(filling))
    for _ in range(size // len(piece)):
        yield piece


FORM = "Content-Type: multipart/form-data; boundary=x"
JSON = "Content-Type: application/json"
POST = "POST /vision/process-image HTTP/1.1"
FIELD = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\n'
FILE = b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n'
CHUNKED = "Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    ("head", "start", "filling"),
    [
        ([POST, FORM], FIELD, b"a"),
        ([POST, FORM], FILE, b"a"),
        ([POST, FORM], b"", FILE + b"x\r\n"),
        ([POST, FORM], b"--x\r\nContent-Disposition: form-data; name=", b"a"),
        ([POST, FORM], b"--x\r\n", b"A: b\r\n"),
        ([POST, FORM], b"", b"a"),
        ([POST, FORM], b"--", b"-"),
        ([POST, JSON], b'{"image": "', b"a"),
        ([POST, JSON], b"", b"["),
        ([POST, JSON], b"", b" "),
        (["POST /auth/signin HTTP/1.1", JSON], b'{"email": "', b"a"),
        (["POST /sign-in HTTP/1.1", "Content-Type: application/x-www-form-urlencoded"], b"email=",
         b"a"),
        (["POST /sign-in HTTP/1.1", FORM], FIELD, b"a"),
        (["POST /api/v1/jobs HTTP/1.1", JSON], b'{"name": "', b"a"),
        (["PUT /nowhere HTTP/1.1", JSON], b"", b"a"),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, bytes) else value[0].split()[1],
)  # fmt: skip
def test_a_gigabyte_ends_early_and_takes_no_memory(
    alone: Served, head: list[str], start: bytes, filling: bytes
) -> None:
    send(alone, [POST, FORM, "Content-Length: 3"], [b"--x"])  # what is loaded once is loaded now
    before = alone.memory()
    status, sent = send(alone, [*head, f"Content-Length: {GIGA}"], flood(GIGA, start, filling))
    assert status == 413
    assert sent < 20 * MEGA
    status, sent = send(alone, [*head, CHUNKED], chunked(flood(GIGA, start, filling)))
    assert 400 <= status < 500
    assert sent < 400 * MEGA
    # A request in JSON may be 85 MB large, and is parsed as a whole.
    assert alone.memory() - before < 100 * MEGA
    assert httpx.get(f"{alone.url}/health").status_code == 200


def test_ten_thousand_parts(alone: Served) -> None:
    for part in (FIELD + b"x\r\n", FILE + b"x\r\n"):
        body = part * 10_000 + b"--x--\r\n"
        before = alone.memory()
        status, _ = send(alone, [POST, FORM, f"Content-Length: {len(body)}"], [body])
        assert status == 400
        assert alone.memory() - before < 30 * MEGA


@pytest.mark.parametrize(
    "header",
    [
        b"X: " + b"a" * MEGA, b"a" * MEGA + b": x", b"X: y\r\n" * 10_000 + b"Z: z",
        b'Content-Disposition: form-data; name="' + b"a" * MEGA + b'"',
        b"Content-Disposition: form-data" + b"; a=b" * 200_000,
    ],
    ids=lambda value: repr(value)[:20],
)  # fmt: skip
def test_giant_headers_of_a_part(alone: Served, header: bytes) -> None:
    body = b"--x\r\n" + header + b"\r\n\r\nx\r\n--x--\r\n"
    before = alone.memory()
    status, _ = send(alone, [POST, FORM, f"Content-Length: {len(body)}"], [body])
    assert status == 400
    assert alone.memory() - before < 30 * MEGA


def test_giant_headers_of_a_request(alone: Served) -> None:
    before = alone.memory()
    for head in (
        ["GET /health HTTP/1.1", *(f"X-{n}: {'a' * 1000}" for n in range(10_000))],
        ["GET /health HTTP/1.1", "X: " + "a" * 10 * MEGA],
        [f"GET /{'a' * 10 * MEGA} HTTP/1.1"],
    ):
        with contextlib.suppress(ConnectionError):  # cut off in the middle
            status, _ = send(alone, head, [])
            assert 400 <= status < 500
    assert alone.memory() - before < 30 * MEGA
    assert httpx.get(f"{alone.url}/health").status_code == 200


def test_a_client_that_goes_away_in_the_middle_is_forgotten(alone: Served) -> None:
    before = alone.memory()
    for _ in range(200):
        head = f"{POST}\r\nHost: x\r\n{FORM}\r\nContent-Length: {50 * MEGA}\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", alone.port)) as connection:
            connection.sendall(head + FILE + bytes(100_000))
    answer = httpx.post(
        f"{alone.url}/vision/process-image", files={"a": makers.photo(64, 64, 1)}, timeout=60
    )
    assert answer.status_code == 200
    assert alone.memory() - before < 50 * MEGA


# --- requests of other sites ---------------------------------------------------------------------

FOREIGN: dict[str, dict[str, str]] = {
    "another site": {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
    "another site, an old browser": {"origin": "https://evil.example"},
    "a sandboxed frame": {"origin": "null", "sec-fetch-site": "cross-site"},
    "no origin told": {"sec-fetch-site": "cross-site"},
    "a sister site": {"origin": "https://other.example.org", "sec-fetch-site": "same-site"},
    "another port": {"origin": "http://127.0.0.1:1", "sec-fetch-site": "same-site"},
    "nothing told": {},
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_other_sites_change_nothing_on_any_route_or_page(web: WebServer, kind: str) -> None:
    browser = web.browser_like(web.account("administrator"))
    for name in ("origin", "sec-fetch-site"):
        del browser.headers[name]
    routes = [r for r in [*documented(web), *undocumented()] if r.method not in SAFE]
    assert len(routes) > 30
    passed = []
    for route in routes:
        given: dict[str, Any] = {"data": {"a": "b"}} if route.page else {"json": route.body}
        address = route.address(ANYTHING)
        answer = browser.request(route.method, address, headers=FOREIGN[kind], **given)
        refused = answer.status_code == 403 and answer.json()["error"]["code"] == "cross-site"
        if not refused:
            passed.append((str(route), answer.status_code))
    assert passed == []


def test_no_get_changes_anything_by_another_sites_link(web: WebServer, scanned: str) -> None:
    """Links of other sites bring the cookies along (SameSite=Lax), so GET must be harmless."""
    root = web.account("administrator")
    browser = web.browser_like(root)
    job = web.job(root, "Office")
    before = web.client(root).get(f"/api/v1/jobs/{job}").json()
    for route in undocumented():
        if route.method == "GET":
            for word in ("", "?delete=1", "?_method=DELETE", "?action=start"):
                ids = {**ANYTHING, "job_id": job, "user_id": root.id}
                browser.get(route.address(ids) + word, headers={"sec-fetch-site": "cross-site"})
    assert web.client(root).get(f"/api/v1/jobs/{job}").json() == before
    assert web.client(root).get("/api/v1/me").status_code == 200


def test_nobody_may_read_across_sites(web: WebServer) -> None:
    evil = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    client = web.client(web.administrator)
    for method in ("GET", "OPTIONS"):
        answer = client.request(method, "/api/v1/jobs", headers=evil)
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("url", [None, "https://case.example.org"])
def test_cookies_are_for_the_server_alone(fresh_web: FreshWeb, url: str | None) -> None:
    web = fresh_web(public_url=url)
    origin = url or web.url
    root = web.administrator
    stranger = web.client(headers={"origin": origin})
    form = {"email": root.email, "password": root.password}
    signed_in = stranger.post("/sign-in", data=form)
    cookies = signed_in.headers.get_list("set-cookie")
    assert len(cookies) == 2
    for cookie in cookies:
        parts = {part.strip().lower().partition("=")[0] for part in cookie.split(";")}
        assert {"httponly", "samesite", "path", "max-age"} <= parts
        assert "samesite=lax" in cookie.lower()
        assert ("secure" in parts) == (url is not None)
        assert "domain" not in parts
    hsts = signed_in.headers.get("strict-transport-security")
    assert (hsts is not None) == (url is not None)
    stranger.headers["cookie"] = "; ".join(cookie.partition(";")[0] for cookie in cookies)
    out = stranger.post("/sign-out")
    gone = out.headers.get_list("set-cookie")
    assert all("max-age=0" in cookie.lower() for cookie in gone if "caseframe_a" in cookie)
    assert stranger.get("/api/v1/me").status_code == 401


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example",
        "/\t/evil.example", "javascript:alert(1)", "/%0d%0aLocation:%20//evil.example",
        "///evil.example", "http:evil.example", " //evil.example", "/\n/evil.example",
    ],
)  # fmt: skip
def test_signing_in_leads_nowhere_else(web: WebServer, target: str) -> None:
    root = web.administrator
    form = {"email": root.email, "password": root.password, "next": target}
    answer = web.browser_like().post("/sign-in", data=form)
    known = web.browser_like(root).get("/sign-in", params={"next": target})
    for answered in (answer, known):
        assert answered.status_code == 303
        led = httpx.URL(web.url).join(answered.headers["location"])
        assert (led.host, led.port) == (httpx.URL(web.url).host, httpx.URL(web.url).port)

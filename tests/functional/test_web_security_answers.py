"""Pages, evidence and secrets on their way out; with `requests` S1, S7, S10, S18, S19."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests import makers
from tests.conftest import Cli
from tests.support.walking import ANYTHING, documented, undocumented
from tests.support.web import FreshWeb, Person, WebServer

# --- pages ---------------------------------------------------------------------------------------


class Active(HTMLParser):
    """Finds everything in a page that a strict policy would have to forbid."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if (tag == "script" and "src" not in given) or tag in {"style", "iframe", "object", "base"}:
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            foreign = (value or "").strip().lower().startswith(("http:", "https:", "//", "data:"))
            script = (value or "").strip().lower().startswith("javascript:")
            loads = name in {"src", "srcset", "href", "action", "poster", "data"} and foreign
            if name.startswith(("on", "hx-on")) or name == "style" or script or loads:
                self.found.append(f"<{tag} {name}={value!r}>")


def test_every_page_has_a_strict_policy_and_nothing_inline(web: WebServer, scanned: str) -> None:
    root = web.administrator
    seen = 0
    picture = web.client(root).get(f"/api/v1/jobs/{scanned}/pictures").json()["pictures"][0]["id"]
    ids = {**ANYTHING, "job_id": scanned, "user_id": root.id, "image_id": str(picture)}
    for person in (root, None):
        browser = web.browser_like(person)
        addresses = [r.address(ids) for r in undocumented() if r.method == "GET"]
        for address in [*addresses, "/nowhere", "/jobs/nothing", "/api/v1/docs"]:
            answer = browser.get(address)
            policy = {
                part.split()[0]: part.split()[1:]
                for part in answer.headers["content-security-policy"].split(";")
            }
            assert policy["default-src"] == ["'none'"]
            assert policy["script-src"] == policy["style-src"] == ["'self'"]
            assert policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
            assert policy["form-action"] == ["'self'"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "same-origin"
            assert answer.headers["cache-control"] == "no-store"
            if answer.headers.get("content-type", "").startswith("text/html"):
                page = Active()
                page.feed(answer.text)
                assert page.found == [], address
                seen += 1
    assert seen >= 15


def test_static_files_bring_no_session_along(fresh_web: FreshWeb) -> None:
    """They may be kept by any cache, so no answer for one person may stand in them."""
    web = fresh_web(access_token_minutes=1)
    root = web.administrator
    browser = web.browser_like(root)
    browser.cookies.delete("caseframe_access")
    static = browser.get("/static/caseframe.css?v=1")
    assert static.status_code == 200
    assert "public" in static.headers["cache-control"]
    assert "set-cookie" not in static.headers
    page = browser.get("/jobs")
    assert page.status_code == 200
    assert len(page.headers.get_list("set-cookie")) == 2
    for address in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/%2fetc/passwd",
                    "/static/js", "/static/"):  # fmt: skip
        assert browser.get(address).status_code == 404


# --- evidence on its way out ---------------------------------------------------------------------


def test_evidence_is_never_run(web: WebServer, pictures: Path, tmp_path: Path) -> None:
    folder = pictures / "Active"
    folder.mkdir(exist_ok=True)
    hostile = {
        "page.jpg": makers.page_and_jpeg(), "script.gif": makers.script_and_gif(),
        "archive.jpg": makers.archive_and_jpeg(),
        "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "page.html": b"<script>alert(1)</script>", "plain.png": makers.photo(format="PNG"),
        "</script><script>alert(1)<.jpg": makers.photo(seed=77),
        'q".jpg\r\nX-Evil: 1': makers.photo(seed=78), "ü\u202egpj.exe.jpg": makers.photo(seed=79),
    }  # fmt: skip
    for name, data in hostile.items():
        (folder / name.replace("/", "_")).write_bytes(data)
    owner: Person = web.account("examiner")
    job = web.job(owner, "Active", run=True)
    client = web.client(owner)
    tiles = client.get(f"/api/v1/jobs/{job}/pictures").json()["pictures"]
    assert len(tiles) >= 6
    for tile in tiles:
        base = f"/api/v1/jobs/{job}/pictures/{tile['id']}"
        for what in ("thumbnail", "view", "original"):
            answer = client.get(f"{base}/{what}")
            if answer.status_code != 200:
                assert answer.headers["content-type"] == "application/json"
                continue
            kind = answer.headers["content-type"]
            assert kind == "application/octet-stream" or kind.startswith("image/"), kind
            assert "svg" not in kind
            assert "html" not in kind
            assert answer.headers["x-content-type-options"] == "nosniff"
            if what == "original":
                assert answer.headers["content-disposition"].startswith("attachment; ")
                assert answer.headers["content-security-policy"].startswith("sandbox")
                assert "x-evil" not in answer.headers
                answer.headers["content-disposition"].encode("ascii")


def test_no_address_leads_to_a_file_outside(web: WebServer, scanned: str) -> None:
    client = web.client(web.administrator)
    for path in ("/static/..%2f..%2fapp.py", "/api/v1/jobs/%2e%2e%2f%2e%2e/pictures",
                 f"/api/v1/jobs/{scanned}/pictures/..%2f..%2fetc%2fpasswd/original",
                 "/static/js/..%5c..%5capp.py", "/static/%00", "//etc/passwd"):  # fmt: skip
        answer = client.get(path)
        assert answer.status_code in {400, 404}, path
        assert "root:" not in answer.text
        assert "import" not in answer.text


# --- secrets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "secret",
    ["q7Zr", "changeme-changeme-changeme-changeme", "a" * 64, "your-256-bit-secret-your-256-bit",
     "0123456789abcdef0123456789abcdef", "secretsecretsecretsecretsecretsecret"],
)  # fmt: skip
def test_serve_refuses_a_weak_secret(cli: Cli, tmp_path: Path, secret: str) -> None:
    done = cli("serve", "--case", tmp_path / "case", "--sources", tmp_path, "--port", "0",
               CASEFRAME_TOKEN_SECRET=secret)  # fmt: skip
    assert done.status == 2
    assert "token secret" in done.err
    assert secret not in done.err


def test_no_secret_stands_in_an_answer_or_a_page(web: WebServer, scanned: str) -> None:
    from caseframe.accounts.secret import case_secret  # noqa: PLC0415

    secret = case_secret(web.case).get_secret_value()
    root = web.administrator
    clients = (web.client(root), web.browser_like(root))
    ids = {**ANYTHING, "job_id": scanned, "user_id": root.id}
    for client in clients:
        for route in [*documented(web), *undocumented()]:
            if route.method == "GET" and not route.path.endswith(("/events", "/original")):
                answer = client.get(route.address(ids))
                for hidden in (secret, root.password, root.tokens.refresh, "$argon2"):
                    assert hidden not in answer.text, route

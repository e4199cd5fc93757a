"""A token of its own with which Prometheus asks for /metrics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Cli
from tests.support.served import served
from tests.support.web import WebServer

TOKEN = "Yk3v0qXo2mTzR7uB9hLwEe5sNfJcPd1G"


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_metrics_and_nothing_else_by_the_token(fresh_web: Callable[..., WebServer]) -> None:
    web = fresh_web(metrics_token=TOKEN)
    prometheus = web.client(headers=_bearer(TOKEN))
    answer = prometheus.get("/metrics")
    assert answer.status_code == 200
    assert "caseframe_http_requests_total" in answer.text
    for path in ("/api/v1/jobs", "/api/v1/me", "/api/v1/users", "/api/v1/models"):
        assert prometheus.get(path).status_code == 401
    for wrong in (TOKEN[:-1], TOKEN + "x", TOKEN.lower(), "Straße", "x"):
        refused = web.client(headers={"authorization": f"Bearer {wrong}".encode()})
        assert refused.get("/metrics").status_code == 401
    assert web.client().get("/metrics").status_code == 401
    assert web.client(web.administrator).get("/metrics").status_code == 200
    assert web.client(web.account("examiner")).get("/metrics").status_code == 403
    assert TOKEN not in repr(web.services.options)


def test_without_the_setting_no_token_is_good(web: WebServer) -> None:
    for token in (TOKEN, "None"):
        assert web.client(headers=_bearer(token)).get("/metrics").status_code == 401


def test_the_token_from_a_file(tmp_path: Path, pictures: Path, cache: Path) -> None:
    import httpx  # noqa: PLC0415

    (tmp_path / "token").write_text(TOKEN + "\n")
    given = {"CASEFRAME_METRICS_TOKEN_FILE": str(tmp_path / "token")}
    with served(tmp_path / "case", pictures, cache, **given) as server:
        assert httpx.get(f"{server.url}/metrics", headers=_bearer(TOKEN)).status_code == 200
        assert httpx.get(f"{server.url}/metrics", headers=_bearer("x")).status_code == 401


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"CASEFRAME_METRICS_TOKEN": "short"}, "shorter than 32"),
        ({"CASEFRAME_METRICS_TOKEN": "change-me-" * 4}, "sample"),
        ({"CASEFRAME_METRICS_TOKEN": "0" * 40}, "sample"),
        ({"CASEFRAME_METRICS_TOKEN_FILE": "/nowhere/token"}, "cannot be read"),
    ],
)
def test_tokens_that_anybody_knows_are_refused_at_the_start(
    cli: Cli, tmp_path: Path, given: dict[str, str], words: str
) -> None:
    done = cli("serve", "--case", tmp_path / "case", "--port", "0", **given)
    assert done.status == 2
    assert "metrics_token" in done.err
    assert words in done.err
    assert "change-me" not in done.err


def test_methods_that_somebody_makes_up_count_as_one(fresh_web: Callable[..., WebServer]) -> None:
    web = fresh_web(metrics_token=TOKEN)
    for number in range(5):
        web.client().request(f"INVENTED{number}", "/api/v1/jobs")
    text = web.client(headers=_bearer(TOKEN)).get("/metrics").text
    assert "INVENTED" not in text
    assert 'caseframe_http_requests_total{method="other"' in text

"""Where the health door of a service can be."""

from __future__ import annotations

import httpx
import pytest
from prometheus_client import CollectorRegistry

from caseframe.domain.errors import CaseError
from caseframe.health import health_server


def answers(address: str) -> str:
    with health_server(address, "test", lambda: None, CollectorRegistry()) as door:
        assert httpx.get(f"http://{door}/ready").status_code == 200
    return door


@pytest.mark.parametrize(
    ("address", "host"),
    [("127.0.0.1:0", "127.0.0.1:"), ("localhost:0", "localhost:"), ("[::1]:0", "[::1]:"),
     ("::1:0", "[::1]:")],
)  # fmt: skip
def test_it_is_a_host_of_either_kind(address: str, host: str) -> None:
    assert answers(address).startswith(host)


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]:port", "[::1]:70000", "[::zz]:0"])
def test_what_is_no_address_is_said(address: str) -> None:
    with pytest.raises(CaseError, match="health_address"):
        answers(address)

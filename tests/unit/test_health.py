"""Where the health door of a service can be."""

from __future__ import annotations

import socket

import httpx
import pytest
from prometheus_client import CollectorRegistry

from caseframe.domain.errors import CaseError
from caseframe.health import health_server


def answers(address: str) -> str:
    with health_server(address, "test", lambda: None, CollectorRegistry()) as door:
        assert httpx.get(f"http://{door}/ready").status_code == 200
    return door


def loopback_of_six() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.parametrize(
    ("address", "host"),
    [("127.0.0.1:0", "127.0.0.1:"), ("localhost:0", "localhost:"), ("[::1]:0", "[::1]:"),
     ("::1:0", "[::1]:")],
)  # fmt: skip
def test_it_is_a_host_of_either_kind(address: str, host: str) -> None:
    if "::1" in address and not loopback_of_six():
        pytest.skip("this machine has no IPv6")
    assert answers(address).startswith(host)


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]:port", "[::1]:70000", "[::zz]:0"])
def test_what_is_no_address_is_said(address: str) -> None:
    with pytest.raises(CaseError, match="health_address"):
        answers(address)

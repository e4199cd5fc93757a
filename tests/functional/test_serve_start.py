"""`caseframe serve` that cannot start: one line, before anything else was started."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.conftest import Cli


@pytest.mark.parametrize("host", ["nope.invalid", "192.0.2.1", f"{'a' * 70}.example"])
def test_a_host_that_is_not_ours_is_named(cli: Cli, tmp_path: Path, host: str) -> None:
    done = cli("serve", "--host", host, "--port", "0", cwd=tmp_path)
    assert (done.status, done.out) == (1, "")
    assert len(done.err.splitlines()) == 1
    assert "give another --host" in done.err


def test_a_port_that_is_taken_is_named(cli: Cli, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = cli("serve", "--port", str(port), cwd=tmp_path)
    assert (done.status, done.out) == (1, "")
    assert "give another --port" in done.err


def test_wrong_settings_are_all_that_is_said(cli: Cli, tmp_path: Path) -> None:
    done = cli("serve", "--port", "0", cwd=tmp_path, CASEFRAME_TRUSTED_PROXIES="nonsense")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("caseframe: setting trusted_proxies: 'nonsense' does not appear")
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "case").exists()

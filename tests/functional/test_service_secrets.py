"""S10: no service begins without its secrets, or with ones that everybody knows."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from tests.conftest import Cli

from caseframe.cli.service_common import (
    amqp_options,
    redis_url,
    services_catalog,
    services_secret,
)
from caseframe.domain.errors import UsageError
from caseframe.settings import Settings

GOOD = "w8Jr3LxQm7Zt5NcYb2KfUp9HsDg4Va6E"
WHOLE = {
    "CASEFRAME_TOKEN_SECRET": GOOD,
    "CASEFRAME_AMQP_URL": f"amqps://caseframe:{GOOD}@mq.example.org/",
    "CASEFRAME_CATALOG_URL": f"postgresql+psycopg://caseframe:{GOOD}@db.example.org/case",
    "CASEFRAME_REDIS_URL": f"rediss://:{GOOD}@cache.example.org/0",
    "CASEFRAME_JOBS_ADDRESS": "jobs.example.org:5042",
    "CASEFRAME_VISION_ADDRESS": "vision.example.org:50051",
}
SAMPLES = (
    ("CASEFRAME_TOKEN_SECRET", "", "CASEFRAME_TOKEN_SECRET_FILE"),
    ("CASEFRAME_TOKEN_SECRET", "secret", "openssl rand"),
    ("CASEFRAME_TOKEN_SECRET", "please-change-this-secret-before-use-1234", "openssl rand"),
    ("CASEFRAME_TOKEN_SECRET", "abcd" * 12, "openssl rand"),
    ("CASEFRAME_AMQP_URL", "", "CASEFRAME_AMQP_URL"),
    ("CASEFRAME_AMQP_URL", "amqps://caseframe@mq.example.org/", "CASEFRAME_AMQP_PASSWORD_FILE"),
    ("CASEFRAME_AMQP_URL", "amqps://guest:guest@mq.example.org/", "CASEFRAME_AMQP_PASSWORD_FILE"),
    ("CASEFRAME_CATALOG_URL", "", "CASEFRAME_CATALOG_URL"),
    ("CASEFRAME_CATALOG_URL", "postgresql://caseframe:changeme@db.example.org/case",
     "CASEFRAME_CATALOG_PASSWORD_FILE"),
    ("CASEFRAME_REDIS_URL", "rediss://cache.example.org/0", "CASEFRAME_REDIS_PASSWORD_FILE"),
    ("CASEFRAME_REDIS_URL", "rediss://:secret@cache.example.org/0",
     "CASEFRAME_REDIS_PASSWORD_FILE"),
)  # fmt: skip
ASKS: dict[str, Callable[[Settings], object]] = {
    "TOKEN_SECRET": services_secret,
    "AMQP_URL": lambda settings: amqp_options(settings, "test"),
    "CATALOG_URL": lambda settings: services_catalog(settings).__enter__(),
    "REDIS_URL": redis_url,
}
"""What reads each secret, the same for all services."""
NEEDS = {
    "auth": ("TOKEN_SECRET", "REDIS_URL"),
    "jobs": ("TOKEN_SECRET", "AMQP_URL"),
    "gateway": ("TOKEN_SECRET", "REDIS_URL"),
    "stage": ("AMQP_URL",),
}
"""Secrets of each service; `vision` has none, and lets in who shows a certificate."""


def _settings(given: dict[str, str]) -> Settings:
    nothing: dict[str, Any] = {}
    with mock.patch.dict(os.environ, given, clear=True):
        return Settings(**nothing)


def _with(name: str, value: str) -> dict[str, str]:
    return {key: text for key, text in {**WHOLE, name: value}.items() if text}


@pytest.mark.parametrize(("name", "value", "said"), SAMPLES)
def test_what_everybody_knows_is_no_secret(name: str, value: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        ASKS[name.removeprefix("CASEFRAME_")](_settings(_with(name, value)))
    assert GOOD not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        f"caseframe:{GOOD}@mq.example.org",
        "mq.example.org:5671",
        f"https://caseframe:{GOOD}@mq.example.org/",
        f"amqps://caseframe:{GOOD}@/",
        f"amqps://caseframe:{GOOD}@mq.example.org:99999/",
        f"amqps://caseframe:{GOOD}@mq.example.org:0/",
        f"amqps://caseframe:{GOOD}@mq.example.org:abc/",
        f"amqps://caseframe:{GOOD}@[::1/",
    ],
)
def test_what_is_no_address_of_a_broker_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(UsageError, match="write amqps://user@host") as refused:
        amqp_options(_settings(_with("CASEFRAME_AMQP_URL", url)), "test")
    assert GOOD not in str(refused.value)


@pytest.mark.parametrize("url", ["amqp://guest@[::1]:5672/", "amqps://localhost/vhost?heartbeat=9"])
def test_an_address_may_say_little_or_much(url: str) -> None:
    assert amqp_options(_settings(_with("CASEFRAME_AMQP_URL", url)), "test").url


@pytest.mark.parametrize("service", NEEDS)
def test_a_service_without_a_secret_or_with_a_sample_refuses_to_start(
    cli: Cli, tmp_path: Path, service: str
) -> None:
    folder = str(tmp_path)
    words = {"jobs": ["--sources", folder], "gateway": ["--sources", folder, "--port", "0"],
             "stage": ["exif"]}.get(service, [])  # fmt: skip
    for need in NEEDS[service]:
        cases = [case for case in SAMPLES if case[0] == f"CASEFRAME_{need}"]
        for name, value, said in (cases[0], cases[-1]):
            ran = cli("service", service, *words, cwd=tmp_path, **_with(name, value))
            assert ran.status == 2, (name, value, ran.err)
            assert said in ran.err, (name, value)
            assert GOOD not in ran.out + ran.err

"""Settings: where they come from, and that a wrong one is explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from caseframe.cli.service_common import amqp_options
from caseframe.domain.access import SignUpPolicy
from caseframe.domain.errors import UsageError
from caseframe.domain.providers import Provider
from caseframe.settings import ALLOWED, Settings, load_settings


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CASEFRAME_CONFIG", raising=False)


def test_command_line_before_environment_before_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("caseframe.toml").write_text("attempts = 5\nworkers = 7\nmax_pixels = 9\n")
    monkeypatch.setenv("CASEFRAME_WORKERS", "8")
    found = load_settings(workers=9)
    assert (found.workers, found.attempts, found.max_pixels) == (9, 5, 9)
    assert load_settings(workers=None).workers == 8


def test_defaults_work() -> None:
    found = load_settings()
    assert found.workers >= 1
    assert found.catalog_url is None


@pytest.mark.parametrize(
    ("content", "words"),
    [("workers = 0", "workers"), ("wrokers = 2", "wrokers"), ("workers = ", "settings file")],
)
def test_a_wrong_file_is_explained(content: str, words: str) -> None:
    Path("caseframe.toml").write_text(content)
    with pytest.raises(UsageError, match=words):
        load_settings()


def test_a_missing_file_that_was_named_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASEFRAME_CONFIG", "nowhere.toml")
    with pytest.raises(UsageError, match=r"nowhere\.toml"):
        load_settings()


def test_every_setting_says_what_it_does() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_every_setting_is_named_by_a_test() -> None:
    """Not that the test is a good one; but a setting without any is found here."""
    here = Path(__file__)
    tests = list(here.parents[1].rglob("*.py"))
    tests.append(here.parents[2] / "deploy" / "arrangement.py")  # what tests of services start
    named = set(re.findall(r"\w+", "\n".join(file.read_text() for file in tests).lower()))
    forgotten = [n for n in Settings.model_fields if not {n, f"caseframe_{n}"} & named]
    assert forgotten == []


def test_certificates_for_rabbitmq_are_handed_on(tmp_path: Path) -> None:
    names = ("amqp_ca", "amqp_cert", "amqp_key")
    files = {name: tmp_path / name for name in names}
    settings = load_settings(amqp_url="amqps://case:pW3-nobody-knows@mq.example.org/", **files)
    options = amqp_options(settings, "test")
    assert [options.ca, options.cert, options.key] == list(files.values())
    with pytest.raises(UsageError, match="amqp_cert and amqp_key cannot be used"):
        options.context()


def test_a_child_process_reads_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given = load_settings(
        trusted_proxies=("10.0.0.0/8", "2001:db8::/32"), workers=3, log_json=True,
        sign_up=SignUpPolicy.CLOSED, cache_dir=Path("cache"),
    )  # fmt: skip
    for name, value in given.environment().items():
        monkeypatch.setenv(name, value)
    read = load_settings()
    assert read.cache_dir == Path("cache").absolute()
    for name in ("trusted_proxies", "workers", "log_json", "sign_up"):
        assert getattr(read, name) == getattr(given, name), name


@pytest.mark.parametrize(
    ("variable", "value", "name", "found"),
    [
        ("CASEFRAME_TRUSTED_PROXIES", "10.0.0.5", "trusted_proxies", ("10.0.0.5",)),
        ("CASEFRAME_TRUSTED_PROXIES", '["10.0.0.0/8"]', "trusted_proxies", ("10.0.0.0/8",)),
        ("CASEFRAME_TRUSTED_PROXIES", "", "trusted_proxies", ()),
        ("CASEFRAME_QUEUE_STAGES", "faces, caption", "queue_stages", ("faces", "caption")),
    ],
)
def test_lists_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, name: str, found: tuple[str, ...]
) -> None:
    monkeypatch.setenv(variable, value)
    assert getattr(load_settings(), name) == found


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("TRUSTED_PROXIES", "nonsense", "setting trusted_proxies: 'nonsense' does not appear"),
        ("TRUSTED_PROXIES", "[10.0.0.5]", "setting trusted_proxies: it begins like a JSON list"),
        ("EXTERNAL_STAGES", "faces", "CASEFRAME_EXTERNAL_STAGES must be JSON, such as"),
        ("OAUTH_PROVIDERS", "google", "CASEFRAME_OAUTH_PROVIDERS must be JSON, such as"),
        ("VISION_DEVICE", "gpu", "setting vision_device: it takes auto, cpu, cuda or one of"),
        ("LOG_LEVEL", "loud", "setting log_level: it takes debug, info, warning or error"),
    ],
)
def test_a_wrong_variable_is_explained(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(f"CASEFRAME_{variable}", value)
    with pytest.raises(UsageError) as raised:
        load_settings()
    assert str(raised.value).startswith(words)


def test_no_pattern_is_shown_to_anybody() -> None:
    fields = {**Settings.model_fields, **Provider.model_fields}
    patterned = {
        name
        for name, field in fields.items()
        if any(getattr(part, "pattern", None) for part in field.metadata)
    }
    assert patterned == set(ALLOWED)

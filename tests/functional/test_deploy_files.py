"""What can be checked of the containers without an engine: that every name in them exists."""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml
from deploy import certificates, locked, prepare

from caseframe.cli.main import build
from caseframe.pipeline.spool import _LEAST_FREE
from caseframe.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = sorted(n for n, one in SERVICES.items() if one["image"].startswith("caseframe:"))
OWN_VARIABLES = {"CASEFRAME_CASE", "CASEFRAME_CONFIG"}  # read by the command line itself
OF_COMPOSE = {
    "SOURCES", "CASEFRAME_USER", "CASEFRAME_TAG", "CASEFRAME_EXTRAS", "CASEFRAME_TORCH",
    "CASEFRAME_LISTEN", "CASEFRAME_SCAN_WORKERS",
}  # fmt: skip
SETTINGS = {f"CASEFRAME_{name.upper()}" for name in Settings.model_fields}


def instructions() -> Iterator[tuple[str, str]]:
    """Each instruction of the Dockerfile, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        yield word, rest.strip()


def test_everything_the_dockerfile_copies_is_there_and_reaches_the_builder() -> None:
    copied = [rest.split()[:-1] for word, rest in instructions() if word == "COPY"]
    sources = [name for names in copied if not names[0].startswith("--from") for name in names]
    assert sources
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    for name in sources:
        assert (ROOT / name).exists(), name
    assert kept == set(sources)


def test_the_image_runs_as_nobody_in_particular_and_holds_no_secret() -> None:
    given = list(instructions())
    users = [rest for word, rest in given if word == "USER"]
    assert users == ["10001:10001"]
    words = " ".join(rest for word, rest in given if word in ("ENV", "ARG")).upper()
    assert not re.search(r"PASSWORD|SECRET|TOKEN|_KEY", words)
    assert any(word == "HEALTHCHECK" for word, _ in given)


def test_the_image_sets_only_what_exists() -> None:
    assert not set(re.findall(r"CASEFRAME_[A-Z_]+(?==)", DOCKERFILE)) - SETTINGS - OWN_VARIABLES


@pytest.mark.parametrize("name", OURS)
def test_commands_of_our_services_are_ones_that_we_have(name: str) -> None:
    group: Any = typer.main.get_command(build([]))
    words = list(SERVICES[name]["command"])
    while isinstance(group, click.Group) or hasattr(group, "commands"):
        group = group.commands[words.pop(0)]
    context = group.make_context(name, words)
    assert not context.args


def test_the_commands_have_an_address_that_the_others_call() -> None:
    for name, port in (("jobs", 5042), ("vision", 50051)):
        assert f"0.0.0.0:{port}" in SERVICES[name]["command"]
    callers = [one["environment"] for one in SERVICES.values() if "environment" in one]
    assert {e.get("CASEFRAME_JOBS_ADDRESS", "jobs:5042") for e in callers} == {"jobs:5042"}
    assert {e.get("CASEFRAME_VISION_ADDRESS", "vision:50051") for e in callers} == {"vision:50051"}


@pytest.mark.parametrize("name", OURS)
def test_settings_of_our_services_are_ones_that_we_have(name: str) -> None:
    environment = SERVICES[name]["environment"]
    assert set(environment) <= SETTINGS | {"TMPDIR"}
    named = set(re.findall(r"\$\{([A-Z_]+)", json.dumps(SERVICES[name])))
    assert named <= SETTINGS | OF_COMPOSE


@pytest.mark.parametrize("name", OURS)
def test_files_that_a_service_reads_are_secrets_that_it_has(name: str) -> None:
    one = SERVICES[name]
    text = json.dumps([one["environment"], one["command"]])
    read = set(re.findall(r"/run/secrets/([a-z_]+)", text))
    assert read == {_mounted(secret) for secret in one["secrets"]}


def _mounted(secret: Any) -> str:
    return str(secret["target"] if isinstance(secret, dict) else secret)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_service_has_more_rights_than_it_needs(name: str) -> None:
    one = SERVICES[name]
    assert one["user"].startswith("${CASEFRAME_USER:?")
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"} & set(one)
    assert one["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert "healthcheck" in one
    assert "secrets" not in one or {_source(s) for s in one["secrets"]} <= COMPOSE["secrets"].keys()
    for volume in one.get("volumes", []):
        assert not volume.split(":")[0].startswith("/var/run")
        assert "/sources" not in volume or volume.endswith(":ro")


def _source(secret: Any) -> str:
    return str(secret["source"] if isinstance(secret, dict) else secret)


def test_only_what_people_reach_is_on_a_network_that_leads_out() -> None:
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    out = {name for name, one in SERVICES.items() if "outside" in one["networks"]}
    assert out == {"gateway", "mail"}
    assert {name for name, one in SERVICES.items() if "ports" in one} == out
    for name in out:
        assert all("127.0.0.1:" in port for port in SERVICES[name]["ports"])


@pytest.mark.parametrize("name", [name for name in OURS if name.startswith("stage-")])
def test_workers_can_be_started_many_times(name: str) -> None:
    assert not {"container_name", "hostname", "ports"} & set(SERVICES[name])
    assert SERVICES[name]["volumes"] == ["spool:/spool"]  # where each has a folder of its own


@pytest.mark.parametrize("name", [name for name in OURS if name.startswith("stage-")])
def test_pictures_of_workers_lie_on_a_disk(name: str) -> None:
    """Memory counts against the container's limit, and /dev/shm leaves no room for others."""
    place = SERVICES[name]["environment"]["TMPDIR"]
    assert [f"{volume}:{place}" for volume in COMPOSE["volumes"]] == SERVICES[name]["volumes"]
    assert not any(one.split(":")[0] == place for one in SERVICES[name]["tmpfs"])
    assert int(SERVICES[name]["shm_size"].removesuffix("m")) << 20 < _LEAST_FREE
    assert f"install --directory --mode 1777 {place}" in DOCKERFILE  # whoever the user is


def test_services_start_after_what_they_need() -> None:
    for name, one in SERVICES.items():
        for other, how in one.get("depends_on", {}).items():
            assert other in SERVICES, name
            assert how == {"condition": "service_healthy"}


def test_the_other_compose_files_speak_of_the_same_services() -> None:
    for file in DEPLOY.glob("compose.*.yaml"):
        other = yaml.safe_load(file.read_text())
        assert set(other["services"]) <= set(SERVICES)
        for one in other["services"].values():
            assert set(one.get("environment", {})) <= SETTINGS


def test_compose_itself_accepts_the_file(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    asked = [str(docker), "compose", "version"]
    if docker is None or subprocess.run(asked, capture_output=True, check=False).returncode:
        pytest.skip("Docker Compose is not installed; its file is checked by the other tests")
    environment = {**os.environ, "SOURCES": str(tmp_path), "CASEFRAME_USER": "1000:1000"}
    command = ["docker", "compose", "-f", str(DEPLOY / "compose.yaml"), "config", "--quiet"]
    subprocess.run(command, env=environment, check=True)


def test_prepare_makes_every_secret_and_keeps_what_is_there(tmp_path: Path) -> None:
    prepare.prepare(tmp_path, ["mq.example.org"])
    files = [tmp_path / one["file"] for one in COMPOSE["secrets"].values()]
    before = {file: file.read_bytes() for file in files}
    for file in (tmp_path / "secrets").iterdir():
        private = file.suffix != ".pem"
        assert not private or stat.S_IMODE(file.stat().st_mode) == 0o600, file
    for name in prepare.DATA:
        assert (tmp_path / "data" / name).is_dir()
    prepare.prepare(tmp_path, [])
    assert {file: file.read_bytes() for file in files} == before
    assert re.fullmatch(r"CASEFRAME_USER=[1-9]\d*:[1-9]\d*\n", (tmp_path / ".env").read_text())


def test_certificates_are_good_for_both_ends_and_for_no_other_name(tmp_path: Path) -> None:
    certificates.make_certificates(tmp_path, ["mq.example.org"])
    for host, fits in (("rabbitmq", True), ("mq.example.org", True), ("localhost", True),
                       ("elsewhere.example.org", False)):  # fmt: skip
        assert _handshake(tmp_path, "rabbitmq", "stage", host) is fits


def test_a_certificate_that_was_deleted_is_made_anew_by_the_same_authority(tmp_path: Path) -> None:
    certificates.make_certificates(tmp_path)
    old = (tmp_path / "jobs.pem").read_bytes()
    (tmp_path / "jobs.pem").unlink()
    ends = certificates.make_certificates(tmp_path)
    assert set(ends) == {"ca", *certificates.NAMES}
    assert (tmp_path / "jobs.pem").read_bytes() != old
    assert _handshake(tmp_path, "jobs", "gateway", "jobs")
    (tmp_path / "jobs.pem").unlink()
    (tmp_path / "ca.key").unlink()
    with pytest.raises(ValueError, match="is needed to sign"):
        certificates.make_certificates(tmp_path)


def _handshake(folder: Path, server: str, client: str, host: str) -> bool:
    """Whether two services trust each other, each asking for the other's certificate."""
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.verify_mode = ssl.CERT_REQUIRED
    theirs = ssl.create_default_context()
    for context, name in ((ours, server), (theirs, client)):
        context.load_verify_locations(folder / "ca.pem")
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        theirs.wrap_bio(to_client, to_server, server_hostname=host),
        ours.wrap_bio(to_server, to_client, server_side=True),
    ]
    for side in sides * 4:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError:
            return False
    return sides[1].getpeercert() is not None


def test_the_lock_for_an_image_is_a_part_of_the_constraints() -> None:
    text = (ROOT / "constraints.txt").read_text()
    found = locked.entries(text)
    assert "\n".join(found.values()).count("--hash=") == text.count("--hash=")
    for extras in ([], ["faces"], ["faces", "demo", "describe"]):
        wanted = locked.wanted((ROOT / "pyproject.toml").read_text(), extras)
        names = {re.split(r"[<>=\[]", one)[0].replace("_", "-").lower() for one in wanted}
        assert names <= found.keys()

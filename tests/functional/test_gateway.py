"""The gateway over services: PostgreSQL, accounts over RabbitMQ, a job manager over gRPC."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from tests.support import postgresql
from tests.support.cli import run
from tests.support.jobs import WAIT, Parts, job_server
from tests.support.people import HERE, PASSWORD, SECRET, Town
from tests.support.waiting import eventually
from tests.support.web import clean_settings, running_web

from caseframe.accounts.serve import QUEUE, QUICK, AccountsService
from caseframe.bus.options import AmqpOptions
from caseframe.bus.rpc import RpcServer
from caseframe.catalog.database import open_postgresql
from caseframe.cli.captions import registry_for, stage_runner
from caseframe.cli.service_gateway import gateway_services
from caseframe.domain.people import NewAccount
from caseframe.pipeline.manager import JobManager
from caseframe.web.services import Services


class Arrangement:
    """The services behind a gateway, and the gateway; each part can be ended by itself."""

    def __init__(self, stack: ExitStack, folder: Path, sources: Path, cache: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.sources = sources
        self.cache = cache
        self.auth, self.jobs = stack.enter_context(ExitStack()), stack.enter_context(ExitStack())

    def start(self, catalog_url: str, amqp_url: str) -> None:
        catalog = open_postgresql(catalog_url)
        self.stack.callback(catalog.close)
        self.catalog = catalog
        self.town = Town(catalog)
        self.stack.callback(self.town.close)
        self.amqp = AmqpOptions(SecretStr(amqp_url))
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.jobs_address = f"127.0.0.1:{taken.getsockname()[1]}"
        self.settings = clean_settings(
            self.cache, catalog_url=catalog_url, amqp_url=amqp_url, token_secret=SECRET,
            jobs_address=self.jobs_address, vision_address="127.0.0.1:1", queue_stages=(),
        )  # fmt: skip
        self.start_auth()
        self.start_jobs()
        listening = self.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self.services: Services = self.stack.enter_context(
            gateway_services(self.settings, self.folder / "case", self.sources, url)
        )
        self.stack.enter_context(running_web(self.services, listening))
        self.client = self.stack.enter_context(httpx.Client(base_url=url, timeout=WAIT))

    def start_auth(self) -> None:
        service = AccountsService(self.town.local, SECRET)
        self.auth.enter_context(closing(RpcServer(self.amqp, QUEUE, service, quick=QUICK)))

    def start_jobs(self) -> None:
        registry = registry_for(self.settings)
        manager = JobManager(self.catalog, registry, partial(stage_runner, self.settings))
        manager.start()
        self.jobs.callback(manager.close)
        parts = Parts(self.town, manager)
        mint, at = self.town.local.mint, self.jobs_address
        self.jobs.enter_context(job_server(parts, self.sources, mint=mint, address=at))

    def sign_in(self) -> None:
        key = self.town.local.first_key()
        assert key is not None
        new = NewAccount("Ada", "Root", "ada@example.org", PASSWORD)
        tokens = self.town.local.create_first_administrator(key, new, HERE)
        self.client.headers["authorization"] = f"Bearer {tokens.access}"


@pytest.fixture
def arrangement(
    postgresql_server: str, rabbitmq_server: str, tmp_path: Path, pictures: Path, cache: Path
) -> Iterator[Arrangement]:
    with ExitStack() as stack:
        url = stack.enter_context(postgresql.database(postgresql_server))
        made = Arrangement(stack, tmp_path, pictures, cache)
        made.start(url, rabbitmq_server)
        eventually(lambda: made.client.get("/ready").status_code == 200)
        made.sign_in()
        yield made


def test_a_job_from_the_browsers_side_to_the_job_manager(arrangement: Arrangement) -> None:
    client = arrangement.client
    assert client.get("/api/v1/me").json()["email"] == "ada@example.org"
    new = {"name": "Papers", "source": "Office", "stages": ["exif"]}
    job = client.post("/api/v1/jobs", json=new).json()["id"]
    assert client.post(f"/api/v1/jobs/{job}/start").status_code == 202
    eventually(lambda: client.get(f"/api/v1/jobs/{job}").json()["state"] == "finished")
    assert client.get(f"/api/v1/jobs/{job}/progress").json()["pictures"] == 3
    assert client.get(f"/jobs/{job}", headers={"accept": "text/html"}).status_code == 200
    assert client.delete(f"/api/v1/jobs/{job}").status_code == 204
    assert client.get(f"/api/v1/jobs/{job}").status_code == 404


def test_administrators_see_the_dead_letters_of_all_stages(arrangement: Arrangement) -> None:
    letters = arrangement.services.dead_letters
    assert letters is not None
    assert {"Faces", "Classifier", "ExifExtractor", "JobManager"} <= set(letters.queues)
    assert arrangement.client.get("/api/v1/dead-letters").json() == []


def test_without_the_job_manager_orders_are_503_and_pages_go_on(arrangement: Arrangement) -> None:
    client = arrangement.client
    new = {"name": "Papers", "source": "Office", "stages": ["exif"]}
    job = client.post("/api/v1/jobs", json=new).json()["id"]
    arrangement.jobs.close()
    for order in (
        client.post(f"/api/v1/jobs/{job}/start"),
        client.post(f"/api/v1/jobs/{job}/stop"),
        client.delete(f"/api/v1/jobs/{job}"),
        client.get("/ready"),
    ):
        assert order.status_code == 503, order.text
        assert int(order.headers["retry-after"]) > 0
        assert "job manager" in order.json()["error"]["message"]
    assert client.get(f"/api/v1/jobs/{job}").json()["state"] == "created"
    assert client.get(f"/api/v1/jobs/{job}/progress").json()["live"] is None
    assert client.get("/health").status_code == 200
    arrangement.start_jobs()
    eventually(lambda: client.post(f"/api/v1/jobs/{job}/start").status_code == 202)
    eventually(lambda: client.get(f"/api/v1/jobs/{job}").json()["state"] == "finished")


def test_without_the_auth_service_nobody_gets_in_and_it_is_said(arrangement: Arrangement) -> None:
    client = arrangement.client
    assert client.get("/api/v1/jobs").status_code == 200
    arrangement.auth.close()
    eventually(lambda: client.get("/api/v1/jobs").status_code == 503)
    assert client.get("/ready").status_code == 503
    assert client.get("/api/v1/jobs").json()["error"]["code"] == "away"
    arrangement.start_auth()
    eventually(lambda: client.get("/api/v1/jobs").status_code == 200)
    assert client.get("/ready").status_code == 200


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "CASEFRAME_TOKEN_SECRET"),
        ({"TOKEN_SECRET": "changeme"}, "the token secret is shorter"),
        ({"TOKEN_SECRET": "ours"}, "CASEFRAME_AMQP_URL"),
        ({"TOKEN_SECRET": "ours", "AMQP_URL": "amqp://mq.example.org/"},
         "CASEFRAME_AMQP_PASSWORD_FILE"),
        ({"TOKEN_SECRET": "ours", "AMQP_URL": "amqp://127.0.0.1:1/"}, "CASEFRAME_JOBS_ADDRESS"),
        ({"TOKEN_SECRET": "ours", "AMQP_URL": "amqp://127.0.0.1:1/", "JOBS_ADDRESS": "x:1"},
         "CASEFRAME_VISION_ADDRESS"),
        ({"TOKEN_SECRET": "ours", "AMQP_URL": "amqp://127.0.0.1:1/", "JOBS_ADDRESS": "x:1",
          "VISION_ADDRESS": "y:1"}, "CASEFRAME_CATALOG_URL"),
    ],
)  # fmt: skip
def test_it_does_not_start_without_what_it_needs(
    cache: Path, tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    given = {f"CASEFRAME_{name}": value for name, value in settings.items()}
    if settings.get("TOKEN_SECRET") == "ours":
        given["CASEFRAME_TOKEN_SECRET"] = SECRET.get_secret_value()
    ended = run("service", "gateway", "--port", "0", cache=cache, cwd=tmp_path, **given)
    assert ended.status == 2, ended.err
    assert said.lower() in ended.err.lower()
    assert "Traceback" not in ended.err

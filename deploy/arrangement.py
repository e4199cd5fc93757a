"""The whole of Caseframe as services on one machine, each part by its name.

Tests use it as a library: they may kill any part at any moment, and start it again.
"""

from __future__ import annotations

import json
import random
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path

from deploy import servers
from deploy.certificates import make_certificates
from deploy.prepare import make_secrets
from deploy.processes import Processes, Program
from deploy.servers import Missing, Place, Server, environment

STAGES = ("faces", "facts", "caption")
SERVERS = ("postgresql", "epmd", "rabbitmq", "redis")
SERVICES = ("auth", "jobs", "vision", "gateway", *(f"stage-{name}" for name in STAGES))
NAMES = (*SERVERS, *SERVICES)
"""All parts, in the order in which they start."""
_EXTRA_PORTS = ("jobs-health", "auth-health", "vision-health", "rabbitmq-distribution")
_FIRST_LINK = re.compile(r"https?://\S+/auth/first\?key=\S+")
_READY_SECONDS = 120.0
_PORTS = range(20_000, 32_000)


class NotReady(Exception):
    """A part ended, or was not ready in time; the message says why, with the end of its log."""


class Arrangement:
    """All parts below one folder: their data, secrets, logs, and which of them run.

    `settings` are further settings of the services, as environment variables. `workers` says by
    name which stages each worker is for; without it there is one worker for each of STAGES.
    """

    def __init__(
        self,
        folder: Path,
        sources: Path,
        settings: Mapping[str, str] | None = None,
        workers: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.sources = sources.absolute()
        self._settings = dict(settings or {})
        self._workers = {f"stage-{one}": (one,) for one in STAGES} if workers is None else workers
        self.services = (*SERVICES[: -len(STAGES)], *self._workers)
        self.names = (*SERVERS, *self.services)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._secrets = self.folder / "secrets"
        self.processes = Processes(self.folder)
        self._ports = self._read_ports()

    # ---- what people and tests ask for ----------------------------------------------------------

    def up(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """Start what is not running, in order; the services when what they need is ready.

        Raises NotReady; Missing when a program is not installed.
        """
        self.prepare()
        for group in (SERVERS, self.services):
            for name in group:
                if not self.running(name):
                    tell(name)
                    self.start(name)
            for name in group:
                self.wait_ready(name)

    def prepare(self) -> None:
        """Make secrets and certificates and choose ports, unless all that is there already."""
        make_secrets(self._secrets)
        make_certificates(self._secrets)
        self.choose_ports()

    def down(self) -> list[str]:
        """Stop all, in the other order; the names of those that had to be killed."""
        return [name for name in reversed(self.names) if not self.stop(name)]

    def start(self, name: str) -> None:
        """Start one part, unless it runs; `wait_ready` says when it can work."""
        if name in SERVERS:
            server = self._server(name)
            server.prepare()
            self.processes.start(name, server.program)
        else:
            self.processes.start(name, self._service(name))

    def stop(self, name: str) -> bool:
        """Stop one part as Ctrl-C does and wait. False when it had to be killed."""
        return self.processes.stop(name, self._program(name))

    def kill(self, name: str) -> None:
        """End one part as a crash does, at once."""
        self.processes.kill(name)

    def running(self, name: str) -> bool:
        """Whether its process is there."""
        return self.processes.find(name) is not None

    def ready(self, name: str) -> str | None:
        """Why it cannot work now; None when it can."""
        if not self.running(name):
            return "not running"
        if name in SERVERS:
            return None if self._server(name).answers() else "does not answer yet"
        try:
            with urllib.request.urlopen(f"{self.door(name)}/ready", timeout=10):  # noqa: S310
                return None
        except urllib.error.HTTPError as error:
            with error:
                return _reason(error.read())
        except OSError as error:
            return str(error)

    def wait_ready(self, name: str, seconds: float = _READY_SECONDS) -> None:
        """Wait until it can work. Raises NotReady."""
        until = time.monotonic() + seconds
        while (reason := self.ready(name)) is not None:
            if not self.running(name) or time.monotonic() > until:
                end = "\n".join(self.log(name).splitlines()[-8:])
                raise NotReady(f"{name}: {reason}; {self.processes.log(name)} ends with:\n{end}")
            time.sleep(0.2)

    @property
    def url(self) -> str:
        """Where people find it."""
        return f"http://127.0.0.1:{self._ports['gateway']}"

    @property
    def urls(self) -> dict[str, str]:
        """By name, where each part listens, without passwords; health doors for workers."""
        kinds = {"rabbitmq": "amqps", "postgresql": "postgresql", "redis": "redis"}
        shown = {n: f"{k}://localhost:{self._ports[n]}" for n, k in kinds.items()}
        shown |= {name: f"localhost:{self._ports[name]}" for name in ("jobs", "vision")}
        return shown | {"gateway": self.url} | {
            n: self.door(n) for n in self.services if n.startswith(("auth", "stage"))
        }  # fmt: skip

    def first_link(self) -> str | None:
        """The link, good once, that makes the administrator; None where there is one already."""
        found = _FIRST_LINK.findall(self.processes.said("auth"))
        return str(found[-1]) if found else None

    def log(self, name: str) -> str:
        """All that a part said; empty before its first start."""
        with suppress(OSError):
            return self.processes.log(name).read_text("utf-8", "replace")
        return ""

    def door(self, name: str) -> str:
        """The URL below which a service answers /health, /ready and /metrics."""
        port = self._ports.get(f"{name}-health", self._ports[name])
        return f"http://127.0.0.1:{port}"

    def environment(self, certificate: str = "gateway") -> dict[str, str]:
        """The environment of a service, or of a command that is to work on the same case."""
        at = {name: f"localhost:{port}" for name, port in self._ports.items()}
        ours = {
            "AMQP_URL": f"amqps://{servers.USER}@{at['rabbitmq']}/",
            "AMQP_PASSWORD_FILE": self._secrets / "amqp_password",
            "REDIS_URL": f"redis://127.0.0.1:{self._ports['redis']}/0",
            "REDIS_PASSWORD_FILE": self._secrets / "redis_password",
            "CATALOG_URL": f"postgresql+psycopg://{servers.USER}@127.0.0.1:"
            f"{self._ports['postgresql']}/{servers.DATABASE}",
            "CATALOG_PASSWORD_FILE": self._secrets / "postgres_password",
            "TOKEN_SECRET_FILE": self._secrets / "token_secret",
            "JOBS_ADDRESS": at["jobs"],
            "VISION_ADDRESS": at["vision"],
            "PUBLIC_URL": self.url,
        }
        for what in ("AMQP", "JOBS_TLS", "VISION_TLS"):
            ours[f"{what}_CA"] = self._secrets / "ca.pem"
            ours[f"{what}_CERT"] = self._secrets / f"{certificate}.pem"
            ours[f"{what}_KEY"] = self._secrets / f"{certificate}.key"
        defaults = {"CASEFRAME_LOG_LEVEL": "info", **self._settings}
        return environment(defaults | {f"CASEFRAME_{k}": str(v) for k, v in ours.items()})

    def control(self, *words: str) -> str:
        """What `rabbitmqctl` answers for our broker. Raises CalledProcessError, Missing."""
        program = servers.found("/usr/lib/rabbitmq/bin/rabbitmqctl", "rabbitmqctl")
        variables = dict(self._server("rabbitmq").program.environment)
        done = subprocess.run(
            [program, "--quiet", *words], env=variables, check=True, capture_output=True, text=True
        )
        return done.stdout

    def command(self, name: str) -> list[str]:
        """The words that start a part. Raises Missing when its program is not installed."""
        return list(self._program(name).command)

    def choose_ports(self) -> None:
        """Free ones, kept from then on; chosen anew when another program took one meanwhile."""
        if any(map(self.running, self.names)):
            return
        if any(port == 0 or not _free(port) for port in self._ports.values()):
            self._ports = dict(zip(self._ports, _free_ports(len(self._ports)), strict=True))
            (self.folder / "ports.json").write_text(json.dumps(self._ports))

    # ---- how it is put together -----------------------------------------------------------------

    def _program(self, name: str) -> Program:
        return self._server(name).program if name in SERVERS else self._service(name)

    def _server(self, name: str) -> Server:
        place = Place(self.folder / name, self._ports[name], self._secrets)
        makers: dict[str, Callable[[Place], Server]] = {
            "postgresql": servers.postgresql,
            "epmd": servers.port_mapper,
            "rabbitmq": partial(
                servers.rabbitmq,
                mapper_port=self._ports["epmd"],
                distribution_port=self._ports["rabbitmq-distribution"],
            ),
            "redis": servers.redis_server,
        }
        return makers[name](place)

    def _service(self, name: str) -> Program:
        case, sources = ["--case", str(self.folder / "case")], ["--sources", str(self.sources)]
        address = ["--address", f"127.0.0.1:{self._ports[name]}"]
        words = {
            "auth": ["auth", *case],
            "jobs": ["jobs", *sources, *address],
            "vision": ["vision", *address],
            "gateway": ["gateway", *sources, *case, "--host", "127.0.0.1",
                        "--port", str(self._ports["gateway"])],
        }.get(name) or ["stage", *self._workers[name]]  # fmt: skip
        variables = self.environment("stage" if name in self._workers else name)
        variables["CASEFRAME_HEALTH_ADDRESS"] = self.door(name).removeprefix("http://")
        variables["PYTHONUNBUFFERED"] = "1"
        return Program([sys.executable, "-m", "caseframe", "service", *words], variables)

    def _read_ports(self) -> dict[str, int]:
        with suppress(OSError, ValueError):
            return dict(json.loads((self.folder / "ports.json").read_text()))
        return dict.fromkeys((*self.names, *_EXTRA_PORTS), 0)


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body).get("reason") or "not ready")
    except (ValueError, AttributeError):
        return "not ready"


def _free(port: int) -> bool:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            one.bind(("127.0.0.1", port))
            return True
    return False


def _free_ports(count: int) -> list[int]:
    """Below those that the system gives to outgoing connections, one of which may take ours.

    Raises Missing when too few are free.
    """
    tried = random.sample(_PORTS, len(_PORTS))
    found = list(islice(filter(_free, tried), count))
    if len(found) < count:
        raise Missing(f"no {count} ports between {_PORTS[0]} and {_PORTS[-1]} are free")
    return found


__all__ = ["NAMES", "SERVERS", "SERVICES", "Arrangement", "Missing", "NotReady"]

"""The settings of Caseframe as services; part of the one tree in settings.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from caseframe.domain.external import ExternalStage


class ServiceSettings(BaseSettings):
    """Where the other parts of the system are, and how work is sent to them."""

    # Nobody reads these alone: only the whole tree is made ready to be read, and when it is.
    model_config = SettingsConfigDict(defer_build=True)

    amqp_url: SecretStr | None = Field(
        None,
        description="URL of the RabbitMQ server, such as amqps://caseframe@mq.example.org/; "
        "services need it.",
    )
    amqp_password_file: Path | None = Field(
        None, description="File that holds the password that belongs into amqp_url."
    )
    amqp_ca: Path | None = Field(
        None, description="PEM file of the authority that RabbitMQ's certificate must come from."
    )
    amqp_cert: Path | None = Field(
        None, description="PEM file of the certificate chain that we show RabbitMQ."
    )
    amqp_key: Path | None = Field(None, description="PEM file of that certificate's key.")
    redis_url: SecretStr | None = Field(
        None,
        description="URL of a Redis server, such as rediss://cache.example.org/0, that holds "
        "verification keys, ended sessions and rate limits for all services; without one they "
        "stand in the catalog and in memory.",
    )
    redis_password_file: Path | None = Field(
        None, description="File that holds the password that belongs into redis_url."
    )
    catalog_password_file: Path | None = Field(
        None, description="File that holds the password that belongs into catalog_url."
    )
    jobs_address: str | None = Field(
        None,
        description="host:port of the job manager (caseframe service jobs), where the gateway "
        "sends its orders and workers get the pictures.",
    )
    jobs_tls_ca: Path | None = Field(
        None,
        description="PEM file of the authority that the other side's certificate must come from; "
        "the job manager then asks its clients for one (mutual TLS).",
    )
    jobs_tls_cert: Path | None = Field(
        None, description="PEM file of the certificate chain that we show the other side."
    )
    jobs_tls_key: Path | None = Field(None, description="PEM file of that certificate's key.")
    health_address: str = Field(
        "127.0.0.1:0",
        description="host:port where a service answers /health, /ready and /metrics; port 0 takes "
        "any, which it prints.",
    )
    queue_stages: Annotated[tuple[str, ...], NoDecode] = Field(
        ("faces", "caption"),
        description="Stages that workers over RabbitMQ carry out, separated by commas; those that "
        "need their results go the same way, and the job manager does the others while it reads.",
    )
    external_stages: tuple[ExternalStage, ...] = Field(
        (),
        description="Stages of other makers over RabbitMQ, as JSON or TOML tables; see the page "
        "on adding a stage.",
    )
    prefetch: int = Field(
        16, ge=1, le=1000,
        description="Tasks that a worker of a stage holds at once: the pictures of the next ones "
        "are fetched while the first are at work.",
    )  # fmt: skip
    in_flight: int = Field(
        2000, ge=1, le=1_000_000,
        description="Tasks of one job that wait in the queues at once.",
    )  # fmt: skip
    task_token_hours: int = Field(
        48, ge=1, le=8760,
        description="How long a worker may read the pictures of a task, in hours.",
    )  # fmt: skip
    lease_seconds: float = Field(
        300.0, gt=0,
        description="How long a task that is in no queue any more is waited for before it is sent "
        "again, in seconds.",
    )  # fmt: skip
    deliveries: int = Field(
        20, ge=1, le=1000,
        description="How often a task is sent again because whole workers ended over it.",
    )  # fmt: skip

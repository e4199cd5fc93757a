"""All settings in one frozen tree, read once by the command line and handed down as values.

Sources, the first that says something wins: command line, environment (`CASEFRAME_…`), the file
`caseframe.toml` in the working folder (or the one that `CASEFRAME_CONFIG` names), the defaults.
"""

from __future__ import annotations

import json
import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import platformdirs
from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_core import to_json
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from caseframe.domain.access import Role, SignUpPolicy
from caseframe.domain.errors import UsageError
from caseframe.domain.providers import Provider
from caseframe.domain.tiles import tile_template
from caseframe.service_settings import ServiceSettings

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

CONFIG_FILE = "caseframe.toml"
_PREFIX = "CASEFRAME_"
ALLOWED = {
    "models_url": "an address that begins with http:// or https://",
    "describe_with": "auto, BLIP, BLIP_QUANTIZED or FACTS",
    "vision_device": "auto, cpu, cuda or one of several, such as cuda:1",
    "vision_precision": "auto, float32, bfloat16 or float16",
    "public_url": "an address such as https://pictures.example.org, without ? and #",
    "smtp_tls": "starttls, tls or none",
    "log_level": "debug, info, warning or error",
    "name": "small letters, digits and -, first a letter or digit, at most 64",
}
"""What to say of a value that does not fit a setting's pattern, by the setting's last name."""
_SECRETIVE = {"catalog_url", "oauth_providers"}


def _workers() -> int:
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)


class Settings(ServiceSettings):
    """Every setting, its default and what it does."""

    # Made ready while it is imported: Ctrl-C waits for the end of an import, and pydantic would
    # make another error of it.
    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, frozen=True, extra="forbid", defer_build=False
    )

    catalog_url: str | None = Field(
        None,
        description="SQLAlchemy URL of a PostgreSQL catalog, such as "
        "postgresql+psycopg://user@db.example.org/case; without it the case folder holds SQLite.",
    )
    workers: int = Field(
        default_factory=_workers, ge=1, le=1024,
        description="Worker processes; as many as this machine lets us use when not set.",
    )  # fmt: skip
    picture_seconds: float = Field(
        60.0, gt=0, description="Time limit for all work on one picture, in seconds."
    )
    attempts: int = Field(
        3, ge=1, le=100, description="How often work that kills its worker is tried."
    )
    worker_memory_mb: int = Field(
        1536, ge=0,
        description="Memory that one worker may allocate, in MB (10^6 bytes); 0 sets no limit.",
    )  # fmt: skip
    worker_bundles: int = Field(
        500, ge=0,
        description="Bundles (of 1 to 32 pictures, about 0.1 s of work) after which a worker is "
        "replaced by a fresh one; 0 keeps it.",
    )  # fmt: skip
    min_file_bytes: int = Field(
        0, ge=0, description="Pictures in smaller files are recorded and not looked into."
    )
    max_file_bytes: int = Field(
        256_000_000, ge=1,
        description="Pictures in larger files are hashed and recorded as over the limit.",
    )  # fmt: skip
    max_pixels: int = Field(
        150_000_000, ge=1,
        description="Width x height above which a picture is not decoded.",
    )  # fmt: skip
    other_hash_bytes: int = Field(
        64_000_000, ge=0,
        description="Files that are not pictures are hashed up to this size; one that was hashed "
        "before is so again, whatever its size.",
    )  # fmt: skip
    busy_seconds: float = Field(
        120.0, gt=0,
        description="How long to wait for a catalog that another process holds, or for a database "
        "server that is away, in seconds.",
    )  # fmt: skip
    web_busy_seconds: float = Field(
        2.0, gt=0,
        description="The same for a request to the server over a SQLite catalog: after so many "
        "seconds it is answered with 503.",
    )  # fmt: skip
    cache_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_cache_dir("caseframe")),
        description="Folder for what is made once from installed packages, such as face models.",
    )
    models_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("caseframe")) / "models",
        description="Folder of the installed captioning models (caseframe models).",
    )
    models_url: str = Field(
        "https://huggingface.co", pattern="^https?://",
        description="Where `caseframe models pull` fetches models: the hub, or a mirror of it.",
    )  # fmt: skip
    models_download: bool = Field(
        False,
        description="Let describe, serve, serve-vision and service vision download a missing model "
        "when they start; otherwise only `caseframe models pull` does. Where that fails they go on "
        "with FACTS, unless describe_with names a model.",
    )
    describe_with: str = Field(
        "auto", pattern="^(auto|BLIP|BLIP_QUANTIZED|FACTS)$",
        description="How pictures are described where nobody says it: BLIP, BLIP_QUANTIZED, FACTS, "
        "or auto, which is BLIP where a model is installed and FACTS where none is.",
    )  # fmt: skip
    blip_model: str | None = Field(
        None,
        description="The installed model that the names BLIP and BLIP_QUANTIZED stand for; "
        "without it blip-base, else blip-large, else the one that was imported.",
    )
    vision_device: str = Field(
        "auto", pattern="^(auto|cpu|cuda(:[0-9]+)?)$",
        description="Where captioning models run: cpu, cuda, cuda:1, or auto.",
    )  # fmt: skip
    vision_precision: str = Field(
        "auto", pattern="^(auto|float32|bfloat16|float16)$",
        description="Arithmetic of BLIP; auto takes what is fast on the device.",
    )  # fmt: skip
    vision_threads: int = Field(
        0, ge=0, le=1024,
        description="Threads of the captioning model on a CPU; 0 takes all cores.",
    )  # fmt: skip
    caption_tokens: int = Field(20, ge=1, le=512, description="Most tokens of a caption.")
    caption_beams: int = Field(
        1, ge=1, le=16, description="Beams of the search for a caption; 1 is greedy."
    )
    caption_batch: int = Field(
        8, ge=1, le=256, description="Pictures that the captioning model takes together at most."
    )
    vision_address: str | None = Field(
        None,
        description="host:port of a vision service (caseframe serve-vision) that writes the "
        "descriptions; without it a process of our own does.",
    )
    vision_at_work: int = Field(
        16, ge=1, le=1024, description="Pictures that the vision service works on at once."
    )
    vision_seconds: float = Field(
        60.0, gt=0,
        description="How long one description may take, in seconds; of a batch, where it is made.",
    )  # fmt: skip
    vision_image_bytes: int = Field(
        64_000_000, ge=1, description="Largest picture that the vision service takes."
    )
    vision_tls_ca: Path | None = Field(
        None,
        description="PEM file of the authority that the other side's certificate must come from; "
        "the vision service then asks its clients for one (mutual TLS).",
    )
    vision_tls_cert: Path | None = Field(
        None, description="PEM file of the certificate chain that we show the other side."
    )
    vision_tls_key: Path | None = Field(None, description="PEM file of that certificate's key.")
    public_url: str | None = Field(
        None, pattern="^https?://[^/?#]+(/[^?#]*)?$",
        description="Address that people reach this server at, for links in mails; without it the "
        "address that serve listens on.",
    )  # fmt: skip
    sign_up: SignUpPolicy = Field(
        SignUpPolicy.INVITED,
        description="Who may make an account: open to all, invited people only, or closed.",
    )
    sign_up_role: Role = Field(
        Role.VIEWER, description="Role of people who made their account without an invitation."
    )
    access_token_minutes: int = Field(
        15, ge=1, le=1440, description="How long an access token is good, in minutes."
    )
    refresh_token_hours: int = Field(
        24, ge=1, le=8760,
        description="How long somebody who does nothing stays signed in, in hours.",
    )  # fmt: skip
    token_secret: SecretStr | None = Field(
        None,
        description="Secret of at least 32 characters that signs tokens, the same for all "
        "services; without one, the case folder holds one of its own.",
    )
    token_secret_file: Path | None = Field(None, description="File that holds token_secret.")
    mail_from: str = Field(
        "Caseframe <caseframe@localhost>", description="Sender of the mails that Caseframe writes."
    )
    smtp_host: str | None = Field(
        None,
        description="Mail server; without one every mail becomes a file in the case's outbox.",
    )
    smtp_port: int = Field(587, ge=1, le=65535, description="Port of the mail server.")
    smtp_tls: str = Field(
        "starttls", pattern="^(none|starttls|tls)$",
        description="Protection of the way to the mail server: starttls, tls (from the start, "
        "usually port 465) or none.",
    )  # fmt: skip
    smtp_ca: Path | None = Field(
        None, description="PEM file of the private authority behind the mail server's certificate."
    )
    smtp_user: str | None = Field(None, description="User name at the mail server.")
    smtp_password: SecretStr | None = Field(None, description="Password of smtp_user.")
    smtp_password_file: Path | None = Field(None, description="File that holds smtp_password.")
    oauth_providers: tuple[Provider, ...] = Field(
        (),
        description="Other providers to sign in with, as JSON or TOML tables; see the page on "
        "accounts.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Addresses or networks of proxies in front of this server, whose "
        "X-Forwarded-For is believed, such as 10.0.0.5,192.168.0.0/16.",
    )
    max_body_bytes: int = Field(
        256_000_000, ge=1_000_000, description="Largest request with pictures in it."
    )
    max_parts: int = Field(
        100, ge=1, le=10_000, description="Most pictures and fields in one request."
    )
    anonymous_calls: int = Field(
        3, ge=0, description="Descriptions an hour for each address without an account."
    )
    tile_url: Annotated[str, AfterValidator(tile_template)] | None = Field(
        None,
        description="Template of a tile server for maps, such as "
        "https://tiles.example.org/{z}/{x}/{y}.png; then the places that people look at leave "
        "this machine. Without it maps come from the bundled outlines.",
    )
    metrics_token: SecretStr | None = Field(
        None,
        description="Token of at least 32 characters with which Prometheus may ask serve and the "
        "gateway for /metrics; without one only administrators may.",
    )
    metrics_token_file: Path | None = Field(None, description="File that holds metrics_token.")
    log_level: str = Field(
        "warning", pattern="(?i)^(debug|info|warning|error)$",
        description="Least level of log lines on standard error: debug, info, warning or error.",
    )  # fmt: skip
    log_json: bool = Field(False, description="Log lines as JSON, one event a line.")

    @field_validator("trusted_proxies", "queue_stages", mode="before")
    @classmethod
    def _listed(cls, given: object) -> object:
        return _as_list(given) if isinstance(given, str) else given

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for text in given:
            ip_network(text, strict=False)  # says what is wrong with it
        return given

    def environment(self) -> dict[str, str]:
        """All that was set, as the environment of a child process that stands in another folder.

        Secrets are left out, and settings that may hold one: no child of ours needs them.
        """
        given = {name: getattr(self, name) for name in self.model_fields_set - _SECRETIVE}
        return {
            f"{_PREFIX}{name.upper()}": _as_variable(value)
            for name, value in given.items()
            if value is not None and not isinstance(value, SecretStr)
        }

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, environment, TOML file; nothing else."""
        file = Path(os.environ.get("CASEFRAME_CONFIG", CONFIG_FILE))
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file)


def _as_variable(value: object) -> str:
    """A value as `Settings` reads it from an environment variable."""
    if isinstance(value, Path):
        return str(value.absolute())
    return to_json(value).decode() if isinstance(value, tuple) else str(value)


def _as_list(text: str) -> list[str]:
    """`a, b` or a JSON list. Raises ValueError."""
    if not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        found: list[str] = json.loads(text)
    except ValueError:
        raise ValueError("it begins like a JSON list and is none; write: a,b") from None
    return found


def load_settings(**given: object) -> Settings:
    """Settings with what the command line gave (None means not given).

    Raises UsageError that names the setting and what is wrong with it.
    """
    config = os.environ.get("CASEFRAME_CONFIG")
    if config and not Path(config).is_file():
        raise UsageError(f"CASEFRAME_CONFIG names {config}, and there is no such file")
    try:
        return Settings(**{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        raise UsageError(_words(error.errors()[0])) from error
    except SettingsError as error:
        raise UsageError(_not_json(error)) from error
    except (OSError, ValueError) as error:
        raise UsageError(f"the settings file cannot be read: {error}") from error


def _words(wrong: ErrorDetails) -> str:
    where = [str(part) for part in wrong["loc"]]
    name, said = ".".join(where) or "settings", wrong["msg"].removeprefix("Value error, ")
    if wrong["type"] == "string_pattern_mismatch" and where[-1] in ALLOWED:
        said = f"it takes {ALLOWED[where[-1]]}, not {wrong['input']!r}"
    return f"setting {name}: {said}"


def _not_json(error: SettingsError) -> str:
    """Only the environment holds JSON: pydantic-settings tells the field's name, quoted."""
    found = re.search(r'field "(\w+)"', str(error))
    variable = f"{_PREFIX}{found[1].upper()}" if found else "a variable of the environment"
    return f'{variable} must be JSON, such as [{{"name": "…"}}]: {error.__cause__ or error}'

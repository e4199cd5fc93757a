"""Other providers at which people may sign in, as settings name them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

_GOOGLE = "https://accounts.google.com/.well-known/openid-configuration"
_GITHUB = "https://github.com"
_GITHUB_API = "https://api.github.com"


class ProviderKind(StrEnum):
    """What the provider speaks: OpenID Connect, or GitHub's own kind of OAuth 2."""

    OIDC = "oidc"
    GOOGLE = "google"
    GITHUB = "github"


class Provider(BaseModel):
    """One provider. `name` is part of addresses and of stored identities, so keep it.

    `discovery_url` is needed for kind oidc; `site` and `api` are for a GitHub server of one's own.
    """

    # Ready to be read as part of the settings; alone when somebody does so.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    title: str = ""
    kind: ProviderKind = ProviderKind.OIDC
    client_id: str = Field(min_length=1)
    client_secret: SecretStr | None = None
    client_secret_file: Path | None = None
    discovery_url: str | None = None
    site: str = _GITHUB
    api: str = _GITHUB_API

    @model_validator(mode="after")
    def _whole(self) -> Provider:
        if self.client_secret is None and self.client_secret_file is None:
            raise ValueError(f"{self.name}: give client_secret or client_secret_file")
        if self.kind is ProviderKind.OIDC and not self.discovery_url:
            raise ValueError(f"{self.name}: give discovery_url")
        return self

    @property
    def shown(self) -> str:
        """What a button says."""
        return self.title or {"github": "GitHub", "google": "Google"}.get(self.kind, self.name)

    @property
    def discovery(self) -> str:
        """Where an OpenID provider describes itself."""
        return self.discovery_url or _GOOGLE

    def secret(self) -> str:
        """The client's secret. Raises OSError when its file cannot be read."""
        if self.client_secret is not None:
            return self.client_secret.get_secret_value()
        return (self.client_secret_file or Path()).read_text("utf-8").strip()

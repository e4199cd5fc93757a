"""Where gRPC services listen, and their certificates: the same three files on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from caseframe.domain.errors import CaseframeError, UsageError


@dataclass(frozen=True)
class TlsFiles:
    """PEM files; a server needs `cert` and `key`, a client needs them for mutual TLS only."""

    ca: Path | None = None
    """Whom to trust: a client takes only its servers, a server then takes only its clients."""
    cert: Path | None = None
    key: Path | None = None
    setting: str = field(default="vision_tls", compare=False)
    """How the names of the settings begin that give the files, for messages about them."""

    @property
    def wanted(self) -> TlsFiles | None:
        """These, or None where none of them is named: then there is no TLS, and else there is."""
        return None if self == TlsFiles() else self


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """TLS, and mutual TLS where an authority is given.

    Raises UsageError when a file is missing or cannot be read.
    """
    setting = files.setting
    chain, key = _read(files.cert, f"{setting}_cert"), _read(files.key, f"{setting}_key")
    if chain is None or key is None:
        raise UsageError(f"a server with TLS needs both {setting}_cert and {setting}_key")
    authority = _read(files.ca, f"{setting}_ca")
    return grpc.ssl_server_credentials(
        [(key, chain)],
        root_certificates=authority,
        require_client_auth=authority is not None,
    )


def client_credentials(files: TlsFiles) -> grpc.ChannelCredentials:
    """TLS towards a server of that authority, with a certificate of our own where one is given.

    Raises UsageError when a file cannot be read, or of certificate and key only one is given.
    """
    setting = files.setting
    chain, key = _read(files.cert, f"{setting}_cert"), _read(files.key, f"{setting}_key")
    if (chain is None) != (key is None):
        raise UsageError(f"{setting}_cert and {setting}_key go together; give both or neither")
    return grpc.ssl_channel_credentials(
        root_certificates=_read(files.ca, f"{setting}_ca"),
        private_key=key,
        certificate_chain=chain,
    )


def open_channel(
    address: str, tls: TlsFiles | None, options: Sequence[tuple[str, Any]]
) -> grpc.Channel:
    """A channel to host:port or unix:path. Raises UsageError for files that cannot be used."""
    if tls is None:
        return grpc.insecure_channel(address, options=options)
    return grpc.secure_channel(address, client_credentials(tls), options=options)


def listen(server: grpc.Server | grpc.aio.Server, address: str, tls: TlsFiles | None) -> str:
    """Have a server listen at host:port or unix:path; where, with the port that was taken for 0.

    Raises CaseframeError when it cannot, UsageError for files that cannot be used.
    """
    try:
        if tls is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, server_credentials(tls))
    except RuntimeError as error:
        raise CaseframeError(f"cannot listen at {address}; give another with --address") from error
    if not port:
        raise CaseframeError(f"cannot listen at {address}; give another with --address")
    if address.startswith("unix:"):
        return address
    return f"{address.rpartition(':')[0]}:{port}"


def _read(file: Path | None, setting: str) -> bytes | None:
    if file is None:
        return None
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{setting}: {file} cannot be read: {error.strerror}") from error

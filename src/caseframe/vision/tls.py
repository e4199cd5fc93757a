"""Certificates of the vision service and its clients, the same three files on both sides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc

from caseframe.domain.errors import UsageError


@dataclass(frozen=True)
class TlsFiles:
    """PEM files; a server needs `cert` and `key`, a client needs them for mutual TLS only."""

    ca: Path | None = None
    """Whom to trust: a client takes only its servers, a server then takes only its clients."""
    cert: Path | None = None
    key: Path | None = None


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """TLS, and mutual TLS where an authority is given.

    Raises UsageError when a file is missing or cannot be read.
    """
    chain, key = _read(files.cert, "vision_tls_cert"), _read(files.key, "vision_tls_key")
    if chain is None or key is None:
        raise UsageError("a server with TLS needs both vision_tls_cert and vision_tls_key")
    authority = _read(files.ca, "vision_tls_ca")
    return grpc.ssl_server_credentials(
        [(key, chain)],
        root_certificates=authority,
        require_client_auth=authority is not None,
    )


def client_credentials(files: TlsFiles) -> grpc.ChannelCredentials:
    """TLS towards a server of that authority, with a certificate of our own where one is given.

    Raises UsageError when a file cannot be read, or of certificate and key only one is given.
    """
    chain, key = _read(files.cert, "vision_tls_cert"), _read(files.key, "vision_tls_key")
    if (chain is None) != (key is None):
        raise UsageError("vision_tls_cert and vision_tls_key go together; give both or neither")
    return grpc.ssl_channel_credentials(
        root_certificates=_read(files.ca, "vision_tls_ca"),
        private_key=key,
        certificate_chain=chain,
    )


def _read(file: Path | None, setting: str) -> bytes | None:
    if file is None:
        return None
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{setting}: {file} cannot be read: {error.strerror}") from error

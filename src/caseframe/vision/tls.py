"""Certificates of the vision service and its clients; see `caseframe.tls`."""

from caseframe.tls import TlsFiles, client_credentials, listen, server_credentials

__all__ = ["TlsFiles", "client_credentials", "listen", "server_credentials"]

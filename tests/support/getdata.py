"""A job manager's service over a folder of one's own, for reading its pictures by getData."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from tests.support.jobs import WAIT, RawClient
from tests.support.people import Town

from caseframe.accounts.tokens import make_task_token
from caseframe.jobmanager.client import AsyncJobsClient

MEBI = 1 << 20
HOUR = timedelta(hours=1)


@dataclass
class Manager:
    """A job manager's service over a folder, with one job over all of `root/case`."""

    root: Path
    town: Town
    job: str
    address: str

    @property
    def case(self) -> Path:
        return self.root / "case"

    @property
    def token(self) -> str:
        return make_task_token(self.town.local.mint, self.job, HOUR)

    def fetch(
        self,
        name: bytes | str,
        *,
        token: str | None = None,
        correlation_id: str = "t",
        limit: int = 64 * MEBI,
        patience: float = 5.0,
    ) -> bytes:
        """A file of the case by our own client, in an event loop of its own."""

        async def once() -> bytes:
            async with AsyncJobsClient(self.address, patience=patience) as client:
                return await client.fetch(
                    b"case/" + os.fsencode(name),
                    token=self.token if token is None else token,
                    correlation_id=correlation_id, limit=limit,
                )  # fmt: skip

        return asyncio.run(once())


def stream(raw: RawClient, path: str):  # type: ignore[no-untyped-def]  # gRPC's own call
    """A call of getData under way: its messages, to be read one by one."""
    request, response = raw.message("GetDataRequest"), raw.message("GetDataResponse")
    call = raw.channel.unary_stream(
        "/jobmanager.JobManagerController/getData", request.SerializeToString, response.FromString
    )
    return call(request(filepath=path), metadata=raw.metadata(), timeout=WAIT)

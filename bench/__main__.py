"""`python -m bench [NAME…]`: run all benchmarks, or some of them, and print what they found."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime

from bench import (
    auth_rpc,
    captions,
    catalog_size,
    describe_http,
    faces,
    get_data,
    growth,
    ingest,
    listeners,
    queues,
    rescan,
    scale,
    thumbnails,
    vision_service,
)
from bench.report import Report

ALL: dict[str, Callable[[Report], None]] = {
    "ingest": ingest.bench,
    "queues": queues.bench,
    "rescan": rescan.bench,
    "growth": growth.bench,
    "catalog-size": catalog_size.bench,
    "faces": faces.bench,
    "captions": captions.bench,
    "vision": vision_service.bench,
    "describe-http": describe_http.bench,
    "thumbnails": thumbnails.bench,
    "listeners": listeners.bench,
    "scale": scale.bench,
    "auth-rpc": auth_rpc.bench,
    "get-data": get_data.bench,
}


def main(names: list[str]) -> int:
    """Status 0 when all ran, whether or not every aim was met; 2 for an unknown name."""
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"no benchmark is called {unknown[0]}; there are: {', '.join(ALL)}", file=sys.stderr)
        return 2
    report = Report(sys.stdout)
    report.machine(datetime.now(UTC).date().isoformat())
    for name in names or ALL:
        ALL[name](report)
    report.heading("Every aim was met." if report.met else "Some aims were MISSED, see above.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

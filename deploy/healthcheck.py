"""Asks the service in this container whether it lives, or with `/ready` whether it can work."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

DOORS = (9100, 3000)
"""Of a service, as the Dockerfile sets it; and of the gateway and `caseframe serve`."""


def main(words: list[str]) -> int:
    """Status 0 when the first door that is open says yes."""
    path = words[0] if words else "/health"
    for port in DOORS:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=4) as answer:
                print(answer.read().decode())
                return 0
        except urllib.error.HTTPError as refused:
            with refused:
                print(refused.read().decode())
            return 1
        except OSError as closed:
            print(f"port {port}: {closed}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

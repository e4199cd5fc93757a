"""Makes once what an installation needs and nobody may know: `python -m deploy.prepare`.

For compose.yaml: `deploy/secrets` (certificates, passwords), `deploy/data` (what the containers
keep) and `deploy/.env` (under which user they run). What is there is kept.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from pathlib import Path

from deploy.certificates import make_certificates, write_private

PASSWORDS = ("token_secret", "postgres_password", "amqp_password", "redis_password")
DATA = ("postgres", "rabbitmq", "redis", "case", "models")
_HERE = Path(__file__).parent
_BYTES = 32
_CONTAINER_USER = 10001  # where root prepares: containers run as nobody in particular


def make_secrets(folder: Path) -> None:
    """Make the passwords that are missing, and the two server files that repeat one.

    All can be read by their owner only.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in PASSWORDS:
        if not (folder / name).exists():
            write_private(folder / name, secrets.token_urlsafe(_BYTES).encode())
    amqp, redis = ((folder / name).read_text() for name in ("amqp_password", "redis_password"))
    broker = f"default_user = caseframe\ndefault_pass = {amqp.strip()}\n"
    write_private(folder / "rabbitmq_user.conf", broker.encode())
    write_private(folder / "redis.conf", f"requirepass {redis.strip()}\n".encode())


def prepare(folder: Path, hosts: list[str]) -> None:
    """Everything for compose.yaml, below the folder that it stands in."""
    make_secrets(folder / "secrets")
    make_certificates(folder / "secrets", hosts)
    for name in DATA:
        (folder / "data" / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    user, group = os.getuid(), os.getgid()
    if user == 0:
        user = group = _CONTAINER_USER
        _give_away(folder / "secrets")
        _give_away(folder / "data")
    if not (folder / ".env").exists():
        (folder / ".env").write_text(f"CASEFRAME_USER={user}:{group}\n")


def _give_away(folder: Path) -> None:
    for file in (folder, *folder.iterdir()):
        if file.name != "ca.key" and file.stat().st_uid == 0:
            os.chown(file, _CONTAINER_USER, _CONTAINER_USER)


def main(words: list[str]) -> int:
    """The command; status 1 when something cannot be made."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument(
        "--host", action="append", default=[], help="a name or address that services are called by"
    )
    try:
        prepare(_HERE, parser.parse_args(words).host)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"ready: {_HERE}/secrets, {_HERE}/data, {_HERE}/.env")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Finds what is weak or exposed in settings that work: it is said at each start, and by the doctor.

Invariants
- Each weakness is one line: what is weak, a colon, and what to do. No line repeats a secret.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import SecretStr

from api.settings import WHERE, Settings, read_config_file
from api.settings_checks import is_loopback

APP_SECRET_CHARACTERS, HEX_DIGITS = 32, frozenset("0123456789abcdef")
READABLE_BY_OTHERS = 0o044
# What is mounted there has the permissions that the platform gives it.
MOUNTED_SECRETS = (Path("/run/secrets"), Path("/var/run/secrets"))


def find_weaknesses(settings: Settings, config: Path) -> list[str]:
    """Returns what is weak in these settings, of which `config` holds a part."""
    return [*_find_weak_secrets(settings), *_find_readable_secrets(config), *_find_exposure(settings)]


def _find_weak_secrets(settings: Settings) -> Iterator[str]:
    secret = settings.whatsapp_app_secret.get_secret_value()
    if len(secret) != APP_SECRET_CHARACTERS or not HEX_DIGITS.issuperset(secret):
        where = WHERE["WHATSAPP_APP_SECRET"]
        yield f"WHATSAPP_APP_SECRET is not 32 digits of 0-9 and a-f, as Meta's are: copy it from {where}"
    token = settings.whatsapp_verify_token.get_secret_value()
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if name != "whatsapp_verify_token" and isinstance(value, SecretStr) and value.get_secret_value() == token:
            yield (
                f"WHATSAPP_VERIFY_TOKEN is the same as {name.upper()}: make up another, since it is sent in the "
                "address of a request and ends up in logs"
            )


def _find_readable_secrets(config: Path) -> Iterator[str]:
    names = [name.upper() for name, info in Settings.model_fields.items() if info.annotation is SecretStr]
    try:
        kept = read_config_file(config)
    except (OSError, UnicodeDecodeError):
        kept = {}  # settings that load have not been read from there
    files = [config] if any(kept.get(name) for name in names) else []
    given = [os.environ.get(f"{name}_FILE") or kept.get(f"{name}_FILE") for name in names]
    files += [Path(path) for path in given if path]
    for file in files:
        if not any(folder in file.absolute().parents for folder in MOUNTED_SECRETS) and _is_readable_by_others(file):
            yield f"{file} holds secrets and can be read by other users of this machine: chmod 600 {file}"


def _is_readable_by_others(path: Path) -> bool:
    try:
        return os.name == "posix" and bool(path.stat().st_mode & READABLE_BY_OTHERS)
    except OSError:
        return False  # no such file; whoever reads it says so


def _find_exposure(settings: Settings) -> Iterator[str]:
    if not is_loopback(settings.host) and not settings.public_url.startswith("https://"):
        yield (
            f"HOST is {settings.host}, and PUBLIC_URL is no https:// address: passwords and messages cross the network "
            "as they are; put a reverse proxy with TLS in front, set PUBLIC_URL to its address, and HOST so that it "
            "alone reaches Tick"
        )

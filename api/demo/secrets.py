"""Makes the demo's own secrets, at random and at its first start, and keeps them in a file that only their owner can
read.
"""

import json
import os
import secrets
from dataclasses import dataclass, field, fields
from pathlib import Path

from api.web.credentials import make_key

FILE_NAME = "secrets.json"


@dataclass(frozen=True, slots=True)
class DemoSecrets:
    """What the demo's settings need, its API key, and the password of its agent."""

    verify_token: str = field(repr=False)
    app_secret: str = field(repr=False)
    access_token: str = field(repr=False)
    api_key: str = field(repr=False)
    password: str = field(repr=False)


def load_demo_secrets(folder: Path) -> DemoSecrets:
    """Reads the demo's secrets from `folder`; makes new ones when there are none that can be read."""
    path = folder / FILE_NAME
    names = [each.name for each in fields(DemoSecrets)]
    try:
        kept = json.loads(path.read_text("utf-8"))
        return DemoSecrets(**{name: str(kept[name]) for name in names})
    except (OSError, ValueError, KeyError, TypeError):
        made = {name: secrets.token_hex(16) for name in names} | {"api_key": make_key()}
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(made, file)
    return DemoSecrets(**made)

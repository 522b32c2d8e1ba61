"""An operator at the command line: real processes, in a folder of their own."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.places import ROOT

KNOWN = {
    "WHATSAPP_PHONE_NUMBER_ID": "106540352242922",
    "WHATSAPP_ACCESS_TOKEN": "EAAcanaryaccesstoken",
    "WHATSAPP_VERIFY_TOKEN": "canary-verify-token",
    "WHATSAPP_APP_SECRET": "canary-app-secret",
}


def environment(folder: Path, **changed: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {"PYTHONPATH": str(ROOT), "DATA_DIR": str(folder / "data"), "COLUMNS": "200"} | changed


def tick(folder: Path, *arguments: str, given: str = "", **changed: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "api", *arguments],
        cwd=folder, env=environment(folder, **changed), input=given, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr
    return done

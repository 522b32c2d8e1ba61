"""An operator at the command line: real processes, in a folder of their own.

A command is forked from a process that has imported Tick already (multiprocessing's fork server), since most of a short
command's time is its imports. It is `tick` in every other respect.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.places import ROOT

KNOWN = {
    "WHATSAPP_PHONE_NUMBER_ID": "106540352242922",
    "WHATSAPP_ACCESS_TOKEN": "EAAcanaryaccesstoken",
    "WHATSAPP_VERIFY_TOKEN": "canary-verify-token",
    "WHATSAPP_APP_SECRET": "canary-app-secret",
}
PATIENCE_SECONDS = 60
STREAMS = ("stdin", "stdout", "stderr")

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["api.cli", "api.bootstrap", "api.app", "api.server.supervisor"])


def environment(folder: Path, **changed: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {"PYTHONPATH": str(ROOT), "DATA_DIR": str(folder / "data"), "COLUMNS": "200"} | changed


def tick(folder: Path, *arguments: str, given: str = "", **changed: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as name:
        streams = Path(name)
        (streams / "stdin").write_text(given)
        process = _forks.Process(target=_run, args=(arguments, folder, environment(folder, **changed), streams))
        process.start()
        process.join(PATIENCE_SECONDS)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"tick {' '.join(arguments)} has not ended")
        printed, told = ((streams / stream).read_text() for stream in STREAMS[1:])
    assert "Traceback" not in printed + told
    return subprocess.CompletedProcess(arguments, process.exitcode, printed, told)


def _run(arguments: tuple[str, ...], folder: Path, env: dict[str, str], streams: Path) -> None:
    for number, stream in enumerate(STREAMS):
        os.dup2(os.open(streams / stream, os.O_RDWR | os.O_CREAT), number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - multiprocessing has put /dev/null there
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    sys.argv = ["tick", *arguments]
    from api.cli import main

    main()

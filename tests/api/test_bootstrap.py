"""What a process loads: a worker alone has no use for the web."""

import subprocess
import sys

from tests.support.places import ROOT

WEB = ("granian", "jinja2", "quart", "quart_auth", "quart_schema", "segno", "werkzeug")


def test_a_worker_alone_loads_nothing_of_the_web() -> None:
    code = f"import sys, api.bootstrap; print([name for name in {WEB!r} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"

"""`tick demo` as a stranger starts it: a process of its own, in an empty folder, on a free port."""

import re
import sys
from collections.abc import Sequence

from tests.support.places import ROOT
from tests.support.servers import Server

LAST_WORDS = "Ctrl+C stops it"


class Demo(Server):
    """A demo that may be stopped, killed and started again: port and folder stay. `settings`: its environment."""

    def __init__(self, **settings: str) -> None:
        super().__init__("demo")
        self._settings = {"PYTHONPATH": str(ROOT), "DATA_DIR": "data", "PORT": str(self.port)} | settings
        self._read_before = 0

    def command(self) -> Sequence[str]:
        given = (f"{name}={value}" for name, value in self._settings.items())
        return ["env", *given, sys.executable, "-m", "api", "demo"]

    def start(self) -> None:
        self._read_before = len(self._read_log())
        super().start()

    def answers(self) -> bool:
        return LAST_WORDS in self.output

    @property
    def output(self) -> str:
        """What it has printed since it was last started."""
        return self._read_log()[self._read_before :].decode()

    @property
    def url(self) -> str:
        """The address that it prints."""
        return self._find(r"Chat as a customer +(\S+)/simulator$")

    @property
    def key(self) -> str:
        """The API key that it prints."""
        return self._find(r"API key +(\S+)$")

    @property
    def sign_in(self) -> tuple[str, str]:
        """The address and the password for the desk that it prints."""
        email, _, password = self._find(r"Sign in with +(\S+ +\S+)$").partition(" ")
        return email, password.strip()

    @property
    def lines_to_paste(self) -> list[str]:
        """The lines that it gives for a shell."""
        return re.findall(r"^ +(curl .+)$", self.output, re.MULTILINE)

    def _find(self, pattern: str) -> str:
        found = re.search(pattern, self.output, re.MULTILINE)
        assert found is not None, self.output
        return found[1]

    def _read_log(self) -> bytes:
        path = self.folder / "log"
        return path.read_bytes() if path.exists() else b""

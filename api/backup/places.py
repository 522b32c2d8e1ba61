"""Says where the data lie that a backup is of, and refuses what `tick backup` and `tick restore` are not for."""

from dataclasses import dataclass
from pathlib import Path

from api.settings import StorageSettings
from storage.errors import OperatorError

GUIDE = "docs/BACKUP.md"


class BackupRefused(OperatorError):
    """There can be no backup, or none can be restored here. The text is a sentence or two."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the data lie: the file of the database, and the folder of files."""

    database: Path
    files: Path


def find_places(settings: StorageSettings, command: str) -> Places:
    """Finds the places of these settings. Raises BackupRefused where the data lie on servers."""
    if settings.sqlite_file is None:
        raise BackupRefused(
            f"`{command}` is for SQLite, and DATABASE_URL names MySQL or MariaDB: {GUIDE} has the commands for those."
        )
    if settings.files_url.startswith("s3://"):
        raise BackupRefused(
            f"`{command}` is for files in a folder, and FILES_URL names a bucket: {GUIDE} has what to do."
        )
    files = Path(settings.files_url) if settings.files_url else settings.data_dir / "files"
    return Places(settings.sqlite_file, files)

"""Defines columns that mean the same on SQLite and on MySQL or MariaDB.

Invariants
- Ids, keys and tokens compare byte by byte. MySQL's default collations hold `wamid.AbC` and `wamid.aBc` equal under a
  unique key, which would drop a message as a duplicate of another. An `AsciiField` is `ascii_bin` there, and SQLite's
  BINARY collation compares bytes anyway.
- Instants are whole milliseconds since 1970 in UTC, so that no driver, session time zone or column type can shift them.
"""

from datetime import UTC, datetime
from typing import Any

from tortoise.fields import CharField
from tortoise.fields.base import Field
from tortoise.models import Model


def to_millis(at: datetime) -> int:
    """Returns milliseconds since 1970; what is finer is cut."""
    return int(at.timestamp() * 1000)


def from_millis(millis: int) -> datetime:
    """Returns the aware UTC datetime of `millis`."""
    return datetime.fromtimestamp(millis / 1000, UTC)


class AsciiField(CharField[str]):
    """ASCII text that compares byte by byte on every database."""

    class _db_mysql:  # noqa: N801 - the name is Tortoise's own protocol
        def __init__(self, field: "AsciiField") -> None:
            self.field = field

        @property
        def SQL_TYPE(self) -> str:  # noqa: N802
            return f"VARCHAR({self.field.max_length}) CHARACTER SET ascii COLLATE ascii_bin"


class InstantField(Field[datetime], datetime):
    """An aware UTC datetime, stored as milliseconds in a BIGINT."""

    SQL_TYPE = "BIGINT"

    def to_db_value(self, value: Any, instance: "type[Model] | Model") -> int | None:
        return to_millis(value) if isinstance(value, datetime) else value

    def to_python_value(self, value: Any) -> datetime | None:
        return from_millis(value) if isinstance(value, int) else value

"""Maps the rows of a table to a dataclass, whose fields are the columns: each column is said once, as a field.

What is read for every message (`journal.py`, `outbox_reads.py`) is mapped by hand, which takes a third less time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_args, get_type_hints

from storage.sql.columns import from_millis, to_millis
from storage.sql.database import Row

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


class RowMapper(Generic[T]):
    """Reads and writes rows as instances of `model`, a dataclass of at least two fields.

    `names`: the columns that are not called as their field is. Instants are milliseconds in their column, booleans may
    be numbers, enums are their value; all else is as it is.
    """

    def __init__(self, model: type[T], names: Mapping[str, str]) -> None:
        hints = get_type_hints(model)
        attributes = [field.name for field in fields(model)]
        self.columns: tuple[str, ...] = tuple(names.get(attribute, attribute) for attribute in attributes)
        self.column_list = ", ".join(self.columns)
        self._model = model
        self._converters = [_find_converter(hints[attribute]) for attribute in attributes]
        self._read_attributes = attrgetter(*attributes)

    def from_row(self, row: Row) -> T:
        """Makes the instance of a row that was selected by `column_list`."""
        return self._model(
            *[
                value if value is None or convert is None else convert(value)
                for convert, value in zip(self._converters, row, strict=True)
            ]
        )

    def from_rows(self, rows: Sequence[Row]) -> list[T]:
        """Makes an instance of each row."""
        return [self.from_row(row) for row in rows]

    def to_row(self, instance: T) -> Row:
        """Returns the values in the order of `columns`."""
        return tuple(
            [to_millis(value) if isinstance(value, datetime) else value for value in self._read_attributes(instance)]
        )


def _find_converter(hint: Any) -> Callable[[Any], Any] | None:
    for kind in get_args(hint) or (hint,):
        if kind is datetime:
            return from_millis
        if kind is bool or (isinstance(kind, type) and issubclass(kind, StrEnum)):
            return kind
    return None

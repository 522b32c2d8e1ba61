"""Changes the schema of MySQL and MariaDB for migrations, which commit each such change by itself.

Invariants
- Each table names its engine, which is InnoDB.
- A migration that was interrupted is applied again, and passes over what is there already.
- A table that is called like one of ours and is none is never taken for ours.
"""

from typing import Any

from tortoise.migrations.schema_editor import MySQLSchemaEditor
from tortoise.models import Model

from storage.errors import WrongDatabase
from storage.sql.server_checks import ENGINE


class ResumingSchemaEditor(MySQLSchemaEditor):
    """Tortoise's editor, which leaves the engine to the server and stumbles over what it made before."""

    def _table_generate_extra(self, table: str) -> str:
        return f" ENGINE={ENGINE} {super()._table_generate_extra(table).strip()}"

    async def create_model(self, model: type[Model]) -> None:
        table = model._meta.db_table
        there = await self._list_names("columns", "column_name", table)
        if not there:
            await super().create_model(model)
        elif there != set(model._meta.fields_db_projection.values()):
            raise WrongDatabase(
                f"The database has a table `{table}` that is not Tick's: give Tick a database of its own, or rename it."
            )

    async def add_field(self, model: type[Model], field_name: str) -> None:
        column = model._meta.fields_db_projection[field_name]
        if column not in await self._list_names("columns", "column_name", model._meta.db_table):
            await super().add_field(model, field_name)

    async def add_index(self, model: type[Model], index: Any) -> None:
        index.resolve_expressions(model)
        name = self._index_name_for_model(model, index)
        if name not in await self._list_names("statistics", "index_name", model._meta.db_table):
            await super().add_index(model, index)

    async def remove_index(self, model: type[Model], index: Any) -> None:
        index.resolve_expressions(model)
        name = self._index_name_for_model(model, index)
        if name in await self._list_names("statistics", "index_name", model._meta.db_table):
            await super().remove_index(model, index)

    async def _list_names(self, what: str, column: str, table: str) -> set[str]:
        """Lists the names of a table's columns or indexes; none where it is not there."""
        _, rows = await self.client.execute_query(
            f"SELECT {column} AS name FROM information_schema.{what} "
            "WHERE table_schema = DATABASE() AND table_name = %s",
            [table],
        )
        return {row["name"] for row in rows}

"""What people look at is counted as it happens, and a page of tickets is found by an index that holds its order."""

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state import State

from storage.sql.columns import AsciiField


class DropIndexOfField(ops.AlterField):
    """Drops the index that a field alone had. (On SQLite, AlterField makes the table anew, without any index.)"""

    async def database_forward(
        self, app_label: str, old_state: State, new_state: State, state_editor: BaseSchemaEditor | None = None
    ) -> None:
        if state_editor:
            model = old_state.apps.get_model(f"{app_label}.{self.model_name}")
            await state_editor.remove_index(model, Index(fields=(self.name,)))

    async def database_backward(
        self, app_label: str, old_state: State, new_state: State, state_editor: BaseSchemaEditor | None = None
    ) -> None:
        if state_editor:
            model = new_state.apps.get_model(f"{app_label}.{self.model_name}")
            await state_editor.add_index(model, Index(fields=(self.name,)))


class Migration(migrations.Migration):
    dependencies = [("models", "0010_access")]

    operations = [
        ops.AlterModelOptions(
            name="Counter",
            options={
                "table": "counter",
                "app": "models",
                "pk_attr": "name",
                "table_description": "Numbers that go on from where they were: tickets' short ones, of which a process reserves blocks, and others.",
            },
        ),
        ops.CreateModel(
            name="KeptCount",
            fields=[
                ("id", AsciiField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ("counted", AsciiField(max_length=10)),
                ("state", AsciiField(max_length=12)),
                ("topic", fields.CharField(default="", max_length=50)),
                ("total", fields.BigIntField()),
            ],
            options={
                "table": "kept_count",
                "app": "models",
                "pk_attr": "id",
                "table_description": "A count that people look at, or one of the shards that are added up to it.",
            },
            bases=["Model"],
        ),
        ops.AddIndex(model_name="Outbox", index=Index(fields=["reason", "id"])),
        ops.AddIndex(model_name="Ticket", index=Index(fields=["created_at", "id"])),
        ops.AddIndex(model_name="Ticket", index=Index(fields=["status", "created_at", "id"])),
        ops.AddIndex(model_name="Ticket", index=Index(fields=["issue_type", "created_at", "id"])),
        ops.AddIndex(model_name="Ticket", index=Index(fields=["issue_type", "status", "created_at", "id"])),
        ops.AddIndex(model_name="Ticket", index=Index(fields=["mobile", "created_at", "id"])),
        ops.RemoveIndex(model_name="Ticket", fields=["created_at"]),
        ops.RemoveIndex(model_name="Ticket", fields=["status", "created_at"]),
        DropIndexOfField(model_name="Ticket", name="issue_type", field=fields.CharField(max_length=50)),
        DropIndexOfField(model_name="Ticket", name="mobile", field=AsciiField(max_length=20, null=True)),
    ]

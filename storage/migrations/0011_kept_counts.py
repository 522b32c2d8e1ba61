"""What people look at is counted as it happens, and a page of tickets is found by an index that holds its order."""

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from storage.sql.columns import AsciiField


class Migration(migrations.Migration):
    dependencies = [("models", "0010_access")]

    operations = [
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
        ops.AddIndex(model_name="Ticket", index=Index(fields=["created_at", "id"])),
        ops.AddIndex(model_name="Ticket", index=Index(fields=["status", "created_at", "id"])),
        ops.AddIndex(model_name="Ticket", index=Index(fields=["issue_type", "created_at", "id"])),
        ops.AddIndex(model_name="Ticket", index=Index(fields=["issue_type", "status", "created_at", "id"])),
        ops.AddIndex(model_name="Ticket", index=Index(fields=["mobile", "created_at", "id"])),
        ops.RemoveIndex(model_name="Ticket", fields=["created_at"]),
        ops.RemoveIndex(model_name="Ticket", fields=["status", "created_at"]),
        ops.AlterField(model_name="Ticket", name="issue_type", field=fields.CharField(max_length=50)),
        ops.AlterField(model_name="Ticket", name="mobile", field=AsciiField(max_length=20, null=True)),
    ]

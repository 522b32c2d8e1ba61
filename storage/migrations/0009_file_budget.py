"""What one customer may have stored in a day, files that wait for an agent's word, and the row that probes writing."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from storage.sql.columns import InstantField
from tortoise import fields
from tortoise.indexes import Index


class Migration(migrations.Migration):
    dependencies = [("models", "0008_takeover")]

    operations = [
        ops.CreateModel(
            name="FileBudget",
            fields=[
                ("customer_id", fields.BigIntField(primary_key=True, generated=False, unique=True, db_index=True)),
                ("told_at", InstantField(null=True, generated=False, unique=False)),
            ],
            options={
                "table": "file_budget",
                "app": "models",
                "pk_attr": "customer_id",
                "table_description": "The budget of what a customer may have stored in a day. Its row is locked by whoever reserves a part of it.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="WriteProbe",
            fields=[
                ("id", fields.IntField(primary_key=True, generated=False, unique=True, db_index=True)),
                ("written_at", InstantField(generated=False, null=False, unique=False)),
                ("body", fields.TextField(unique=False)),
            ],
            options={
                "table": "write_probe",
                "app": "models",
                "pk_attr": "id",
                "table_description": "One row that is written to find out whether the database takes writes.",
            },
            bases=["Model"],
        ),
        ops.AddField(model_name="File", name="reserved_bytes", field=fields.BigIntField(null=True)),
        ops.AddField(model_name="File", name="wanted_at", field=InstantField(null=True, generated=False, unique=False)),
        ops.AddIndex(model_name="File", index=Index(fields=["customer_id", "stored_at"])),
    ]

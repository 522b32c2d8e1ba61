"""How far the tables of the original system were copied into ours. The primary key is made by the process."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from storage.sql.columns import AsciiField, InstantField
from tortoise import fields


class Migration(migrations.Migration):
    dependencies = [("models", "0007_wamids")]

    operations = [
        ops.CreateModel(
            name="Takeover",
            fields=[
                ("name", AsciiField(primary_key=True, unique=True, db_index=True, max_length=16)),
                ("highest_id", fields.BigIntField()),
                ("last_id", fields.BigIntField()),
                ("copied", fields.BigIntField()),
                ("country", AsciiField(max_length=2)),
                ("time_zone", AsciiField(max_length=64)),
                ("begun_at", InstantField(generated=False, null=False, unique=False)),
                ("finished_at", InstantField(null=True, generated=False, unique=False)),
            ],
            options={
                "table": "takeover",
                "app": "models",
                "pk_attr": "name",
                "table_description": "How far a table of the original system, which this is named after, was copied into ours.",
            },
            bases=["Model"],
        ),
    ]

"""The desk's sign-ins. The primary key is made by the process."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from storage.sql.columns import AsciiField, InstantField
from tortoise import fields


class Migration(migrations.Migration):
    dependencies = [("models", "0001_initial")]

    operations = [
        ops.CreateModel(
            name="DeskSession",
            fields=[
                ("digest", AsciiField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ("agent_id", fields.BigIntField(db_index=True)),
                ("expires_at", InstantField(generated=False, null=False, unique=False)),
            ],
            options={
                "table": "desk_session",
                "app": "models",
                "pk_attr": "digest",
                "table_description": "A sign-in at the desk, from the password to the sign-out. What is stored lets nobody in.",
            },
            bases=["Model"],
        ),
    ]

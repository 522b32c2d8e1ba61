"""The ids that Meta gave to a message which it took, refused and took again. (A row with one id has it in `outbox`.)"""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from storage.sql.columns import AsciiField


class Migration(migrations.Migration):
    dependencies = [("models", "0006_identity")]

    operations = [
        ops.CreateModel(
            name="OutboxWamid",
            fields=[
                ("wamid", AsciiField(primary_key=True, unique=True, db_index=True, max_length=200)),
                ("outbox_id", fields.BigIntField(db_index=True)),
            ],
            options={
                "table": "outbox_wamid",
                "app": "models",
                "pk_attr": "wamid",
                "table_description": "An id that Meta gave to a row of the outbox, of those that had more than one: each of them still settles it.",
            },
            bases=["Model"],
        ),
    ]

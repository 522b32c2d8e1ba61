"""What happens to a ticket is written down as it happens: the event log."""

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from storage.sql.columns import AsciiField, InstantField


class Migration(migrations.Migration):
    dependencies = [("models", "0004_outbox_detail")]

    operations = [
        ops.CreateModel(
            name="TicketEvent",
            fields=[
                ("id", fields.BigIntField(primary_key=True, generated=False, unique=True, db_index=True)),
                ("ticket_id", fields.BigIntField()),
                ("customer_id", fields.BigIntField(null=True)),
                ("kind", AsciiField(max_length=12)),
                ("author", AsciiField(max_length=10)),
                ("author_id", fields.BigIntField(null=True)),
                ("was", AsciiField(default="", max_length=20)),
                ("became", AsciiField(default="", max_length=20)),
                ("reply_id", fields.BigIntField(null=True)),
                ("outbox_id", fields.BigIntField(null=True)),
                ("at", InstantField()),
            ],
            options={
                "table": "ticket_event",
                "app": "models",
                "indexes": [Index(fields=["ticket_id", "id"])],
                "pk_attr": "id",
                "table_description": "The event log: what happened to a ticket, and nothing of what anybody wrote. Rows are only ever added.",
            },
            bases=["Model"],
        ),
    ]

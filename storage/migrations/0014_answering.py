"""Since when each process has been answering webhooks, and until when it is known to have."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from storage.sql.columns import AsciiField, InstantField


class Migration(migrations.Migration):
    dependencies = [("models", "0013_fill_counts")]

    operations = [
        ops.CreateModel(
            name="Answering",
            fields=[
                ("owner", AsciiField(primary_key=True, unique=True, db_index=True, max_length=32)),
                ("begun_at", InstantField(generated=False, null=False, unique=False)),
                ("seen_at", InstantField(generated=False, null=False, unique=False)),
            ],
            options={
                "table": "answering",
                "app": "models",
                "pk_attr": "owner",
                "table_description": "A process that answers webhooks: since when without a gap, and when it last said so.",
            },
            bases=["Model"],
        ),
    ]

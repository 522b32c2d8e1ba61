"""From where agents have signed in, so that nobody who guesses elsewhere takes their place."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from storage.sql.columns import AsciiField, InstantField
from tortoise import fields


class Migration(migrations.Migration):
    dependencies = [("models", "0011_kept_counts")]

    operations = [
        ops.CreateModel(
            name="SignInNetwork",
            fields=[
                ("digest", AsciiField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ("agent_id", fields.BigIntField(db_index=True)),
                ("last_at", InstantField(generated=False, null=False, unique=False)),
            ],
            options={
                "table": "sign_in_network",
                "app": "models",
                "pk_attr": "digest",
                "table_description": "A network from which an agent has signed in, as a keyed digest of both.",
            },
            bases=["Model"],
        ),
    ]

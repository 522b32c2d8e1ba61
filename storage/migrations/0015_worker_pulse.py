"""Which workers are alive while Redis, which knows otherwise, is away."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from storage.sql.columns import AsciiField, InstantField
from tortoise import fields


class Migration(migrations.Migration):
    dependencies = [("models", "0014_answering")]

    operations = [
        ops.CreateModel(
            name="WorkerPulse",
            fields=[
                ("owner", AsciiField(primary_key=True, unique=True, db_index=True, max_length=32)),
                ("beats", fields.BigIntField()),
                ("beat_at", InstantField(generated=False, null=False, unique=False)),
            ],
            options={
                "table": "worker_pulse",
                "app": "models",
                "pk_attr": "owner",
                "table_description": "The pulse of a worker that Redis does not hear.",
            },
            bases=["Model"],
        ),
    ]

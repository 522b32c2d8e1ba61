"""A row's reason becomes one of an enum, and the words that somebody else chose stand beside it, as its detail."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

KEEP_WORDS = (  # 'refused' is among these, or words would be lost when it is interrupted and runs again
    "UPDATE outbox SET detail = reason, reason = 'refused' "
    "WHERE reason NOT IN ('', 'window_closed', 'superseded', 'refused')"
)


class Migration(migrations.Migration):
    dependencies = [("models", "0003_cloud_api")]

    operations = [
        ops.AddField(
            model_name="Outbox", name="detail", field=fields.CharField(max_length=300, default="", db_default="")
        ),
        ops.RunSQL(KEEP_WORDS, reverse_sql="UPDATE outbox SET reason = detail WHERE detail <> ''"),
    ]

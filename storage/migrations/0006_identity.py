"""An alias knows when Meta named it, and whether its customer was made under it."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from storage.sql.columns import InstantField


class Migration(migrations.Migration):
    dependencies = [("models", "0005_event_log")]

    operations = [
        ops.AddField(model_name="Alias", name="named_at", field=InstantField(null=True)),
        ops.AddField(
            model_name="Alias", name="is_first", field=fields.BooleanField(default=False, db_default=False)
        ),
    ]

"""When a key was last used and an agent last signed in, so that access which nobody uses any more can be taken away."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from storage.sql.columns import InstantField


class Migration(migrations.Migration):
    dependencies = [("models", "0009_file_budget")]

    operations = [
        ops.AddField(
            model_name="ApiKey", name="last_used_at", field=InstantField(null=True, generated=False, unique=False)
        ),
        ops.AddField(
            model_name="Agent", name="last_sign_in_at", field=InstantField(null=True, generated=False, unique=False)
        ),
    ]

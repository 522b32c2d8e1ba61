"""The counts that are kept from now on begin with what there is.

It is one statement that adds what the counts lack of the tables, as both are in one snapshot: interrupted, it has added
nothing, and done twice it adds nothing the second time.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps

LACKING = """
SELECT counted, state, topic, SUM(number) AS total FROM (
    SELECT 'item' AS counted, fate AS state, '' AS topic, COUNT(*) AS number FROM item GROUP BY fate
    UNION ALL SELECT 'item', 'duplicates', '', COALESCE(SUM(duplicates), 0) FROM item
    UNION ALL SELECT 'item', fate, '', SUM(total) FROM daily_total GROUP BY fate
    UNION ALL SELECT 'outbox', status, '', COUNT(*) FROM outbox GROUP BY status
    UNION ALL SELECT 'ticket', status, issue_type, COUNT(*) FROM ticket GROUP BY status, issue_type
    UNION ALL SELECT counted, state, topic, -SUM(total) FROM kept_count GROUP BY counted, state, topic
) AS numbers GROUP BY counted, state, topic HAVING SUM(number) <> 0
"""
KEY = "counted || '.' || state || '.filled.' || ROW_NUMBER() OVER ()"
MYSQL_KEY = "CONCAT(counted, '.', state, '.filled.', ROW_NUMBER() OVER ())"


async def fill(_apps: StateApps, editor: BaseSchemaEditor) -> None:
    key = KEY if editor.client.capabilities.dialect == "sqlite" else MYSQL_KEY
    await editor.client.execute_query(
        "INSERT INTO kept_count (id, counted, state, topic, total) "
        f"SELECT {key}, counted, state, topic, total FROM ({LACKING}) AS lacking"
    )


class Migration(migrations.Migration):
    dependencies = [("models", "0012_sign_in")]

    operations = [ops.RunPython(fill, reverse_code=ops.RunPython.noop)]

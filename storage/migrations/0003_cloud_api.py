"""What the whole of the Cloud API needs: files, templates, alerts, the account. The primary key of a file is made by the
process."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from storage.sql.columns import AsciiField, InstantField
from tortoise import fields
from tortoise.indexes import Index

class Migration(migrations.Migration):
    dependencies = [('models', '0002_desk_session')]

    initial = False

    operations = [
        ops.CreateModel(
            name='Account',
            fields=[
                ('phone_number_id', AsciiField(primary_key=True, unique=True, db_index=True, max_length=32)),
                ('body', fields.TextField(unique=False)),
                ('asked_at', InstantField(generated=False, null=False, unique=False)),
            ],
            options={'table': 'account', 'app': 'models', 'pk_attr': 'phone_number_id', 'table_description': 'What Meta last said of our number, as JSON.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='Alert',
            fields=[
                ('subject', AsciiField(primary_key=True, unique=True, db_index=True, max_length=200)),
                ('severity', AsciiField(max_length=8)),
                ('message', fields.CharField(max_length=500)),
                ('raised_at', InstantField(generated=False, null=False, unique=False)),
                ('said_at', InstantField(null=True, generated=False, unique=False)),
                ('cleared_at', InstantField(null=True, generated=False, unique=False)),
            ],
            options={'table': 'alert', 'app': 'models', 'pk_attr': 'subject', 'table_description': 'Something that an operator has to know or mend, one row a subject.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='File',
            fields=[
                ('id', fields.BigIntField(primary_key=True, generated=False, unique=True, db_index=True)),
                ('direction', AsciiField(max_length=3)),
                ('customer_id', fields.BigIntField(null=True)),
                ('ticket_id', fields.BigIntField(null=True, db_index=True)),
                ('reply_id', fields.BigIntField(null=True)),
                ('wamid', AsciiField(null=True, max_length=200)),
                ('kind', AsciiField(max_length=8)),
                ('media_id', AsciiField(default='', max_length=128)),
                ('media_until', InstantField(null=True, generated=False, unique=False)),
                ('mime_type', fields.CharField(default='', max_length=100)),
                ('filename', fields.CharField(default='', max_length=255)),
                ('size', fields.BigIntField(null=True)),
                ('sha256', AsciiField(default='', max_length=64)),
                ('state', AsciiField(max_length=10)),
                ('reason', fields.CharField(default='', max_length=300)),
                ('attempts', fields.IntField(default=0)),
                ('owner', AsciiField(default='', max_length=32)),
                ('due_at', InstantField(generated=False, null=False, unique=False)),
                ('created_at', InstantField(generated=False, null=False, unique=False)),
                ('stored_at', InstantField(null=True, generated=False, unique=False)),
            ],
            options={'table': 'file', 'app': 'models', 'indexes': [Index(fields=['state', 'due_at']), Index(fields=['customer_id', 'media_id'])], 'pk_attr': 'id', 'table_description': 'A file that a customer sent, or that an agent is to send. Its bytes are in the store of FILES_URL.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='NoticeTemplate',
            fields=[
                ('id', AsciiField(primary_key=True, unique=True, db_index=True, max_length=40)),
                ('kind', AsciiField(max_length=20)),
                ('language', AsciiField(max_length=20)),
                ('template_name', AsciiField(max_length=512)),
                ('template_language', AsciiField(max_length=20)),
                ('parameters', fields.TextField(unique=False)),
                ('updated_at', InstantField(generated=False, null=False, unique=False)),
            ],
            options={'table': 'notice_template', 'app': 'models', 'pk_attr': 'id', 'table_description': 'Which template carries a kind of notice outside of the window, in one language.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='Template',
            fields=[
                ('id', AsciiField(primary_key=True, unique=True, db_index=True, max_length=32)),
                ('name', AsciiField(max_length=512)),
                ('language', AsciiField(max_length=20)),
                ('category', AsciiField(default='', max_length=30)),
                ('status', AsciiField(max_length=30)),
                ('reason', fields.CharField(default='', max_length=300)),
                ('components', fields.TextField(unique=False)),
                ('status_at', InstantField(generated=False, null=False, unique=False)),
                ('synced_at', InstantField(generated=False, null=False, unique=False)),
            ],
            options={'table': 'template', 'app': 'models', 'indexes': [Index(fields=['name', 'language'])], 'pk_attr': 'id', 'table_description': 'A template as Meta has it, synced from there.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='TicketMessage',
            fields=[
                ('wamid', AsciiField(primary_key=True, unique=True, db_index=True, max_length=200)),
                ('customer_id', fields.BigIntField()),
                ('ticket_id', fields.BigIntField(db_index=True)),
            ],
            options={'table': 'ticket_message', 'app': 'models', 'pk_attr': 'wamid', 'table_description': "A message that became part of a ticket's description: what is said about it finds the ticket."},
            bases=['Model'],
        ),
        ops.AddField(
            model_name='Customer',
            name='unreachable_at',
            field=InstantField(null=True, generated=False, unique=False),
        ),
        ops.AddField(
            model_name='Customer',
            name='unreachable_reason',
            field=fields.CharField(default='', db_default='', max_length=300),
        ),
        ops.AddField(
            model_name='Outbox',
            name='refusals',
            field=fields.IntField(default=0, db_default=0),
        ),
        ops.AddField(
            model_name='Reply',
            name='changed',
            field=AsciiField(default='', db_default='', max_length=8),
        ),
        ops.AddField(
            model_name='Reply',
            name='kind',
            field=AsciiField(default='message', db_default='message', max_length=10),
        ),
        ops.AddIndex(
            model_name='Reply',
            index=Index(fields=['whatsapp_message_id']),
        ),
    ]

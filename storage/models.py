"""Every table of Tick, in the order in which a message meets them.

Invariants: an item's key is unique for ever; an alias belongs to one customer; a conversation's version only rises,
and each transaction that changes what a flow may know raises it (see `fence.py`); a row of the outbox only moves
forward in status (see `outbox.py`). Ids are made by the process (time-ordered, 63 bits), tickets have short numbers.
(Docstrings here become comments of the tables, so they have no semicolon and a change of one needs a migration.)
Rows point at each other by plain ids: the writers on the hot path insert in bulk, and each checks what it relies on.
"""

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from storage.fields import AsciiField, InstantField


class Customer(Model):
    """Who writes to us. `customer_id` is ours, phones and user ids are aliases of it."""

    id = fields.BigIntField(primary_key=True, generated=False)
    name = fields.CharField(max_length=200, default="")
    created_at = InstantField()
    unreachable_at = InstantField(null=True)
    unreachable_reason = fields.CharField(max_length=300, default="", db_default="")

    class Meta:
        table = "customer"


class Alias(Model):
    """One address of a customer: `p:` and a phone's digits, or `b:` and a business-scoped user id."""

    alias = AsciiField(max_length=180, primary_key=True)
    customer_id = fields.BigIntField(db_index=True)

    class Meta:
        table = "alias"


class Conversation(Model):
    """The newest place of a customer in their flow. `version` is the fence."""

    customer_id = fields.BigIntField(primary_key=True, generated=False)
    version = fields.BigIntField(default=0)
    body = fields.TextField()

    class Meta:
        table = "conversation"


class Item(Model):
    """The journal: one thing that arrived, and what became of it."""

    id = fields.BigIntField(primary_key=True, generated=False)
    key = AsciiField(max_length=200, unique=True)
    kind = AsciiField(max_length=10)
    customer_id = fields.BigIntField(null=True)
    address = AsciiField(max_length=180, default="")
    meta_at = InstantField()
    received_at = InstantField()
    payload = fields.TextField()
    fate = AsciiField(max_length=8)
    reason = AsciiField(max_length=32, default="")
    attempts = fields.IntField(default=0)
    late = fields.BooleanField(default=False)
    duplicates = fields.IntField(default=0)
    effects = fields.TextField(null=True)
    error = fields.TextField(null=True)
    closed_at = InstantField(null=True)

    class Meta:
        table = "item"
        indexes = (Index(fields=("customer_id", "fate")), Index(fields=("fate", "received_at")))


class Outbox(Model):
    """One message to a customer, from the transaction that caused it to the customer's screen.

    Rows of a customer go out by (version, id): the version is the fence's, so this is the order of the commits.
    """

    id = fields.BigIntField(primary_key=True, generated=False)
    customer_id = fields.BigIntField()
    version = fields.BigIntField()
    item_id = fields.BigIntField(null=True)
    ticket_id = fields.BigIntField(null=True)
    origin = AsciiField(max_length=8)
    payload = fields.TextField()
    status = AsciiField(max_length=10)
    reason = fields.CharField(max_length=300, default="")
    wamid = AsciiField(max_length=200, null=True, db_index=True)
    owner = AsciiField(max_length=32, default="")
    attempts = fields.IntField(default=0)
    refusals = fields.IntField(default=0, db_default=0)
    resent = fields.IntField(default=0)
    due_at = InstantField()
    marked_at = InstantField(null=True)
    created_at = InstantField()
    status_at = InstantField()

    class Meta:
        table = "outbox"
        indexes = (Index(fields=("customer_id", "status")), Index(fields=("status", "due_at")))


class Ticket(Model):
    """What a customer wants solved. The columns carry the names of the original guide."""

    id = fields.BigIntField(primary_key=True, generated=False)
    customer_id = fields.BigIntField(null=True, db_index=True)
    name = fields.CharField(max_length=200, default="")
    email = fields.CharField(max_length=254, null=True)
    mobile = AsciiField(max_length=20, null=True, db_index=True)
    description = fields.TextField()
    issue_type = fields.CharField(max_length=50, db_index=True)
    issue_type_other = fields.CharField(max_length=200, null=True)
    issue_title = fields.CharField(max_length=200, null=True)
    attachment_name = fields.CharField(max_length=255, null=True)
    attachment_type = fields.CharField(max_length=100, null=True)
    status = AsciiField(max_length=12)
    whatsapp_enabled = fields.BooleanField(default=True)
    whatsapp_notifications = fields.BooleanField(default=True)
    created_at = InstantField()
    updated_at = InstantField()

    class Meta:
        table = "ticket"
        indexes = (Index(fields=("created_at",)), Index(fields=("status", "created_at")))


class Reply(Model):
    """What was said on a ticket: the customer sees it. Shown by `written_at`, a straggler in its place."""

    id = fields.BigIntField(primary_key=True, generated=False)
    ticket_id = fields.BigIntField()
    author = AsciiField(max_length=10)
    author_name = fields.CharField(max_length=200, default="")
    message = fields.TextField()
    whatsapp_message_id = AsciiField(max_length=200, null=True)
    item_id = fields.BigIntField(null=True)
    outbox_id = fields.BigIntField(null=True)
    late = fields.BooleanField(default=False)
    written_at = InstantField()
    created_at = InstantField()
    kind = AsciiField(max_length=10, default="message", db_default="message")
    changed = AsciiField(max_length=8, default="", db_default="")

    class Meta:
        table = "reply"
        indexes = (Index(fields=("ticket_id", "written_at")), Index(fields=("whatsapp_message_id",)))


class TicketMessage(Model):
    """A message that became part of a ticket's description: what is said about it finds the ticket."""

    wamid = AsciiField(max_length=200, primary_key=True)
    customer_id = fields.BigIntField()
    ticket_id = fields.BigIntField(db_index=True)

    class Meta:
        table = "ticket_message"


class File(Model):
    """A file that a customer sent, or that an agent is to send. Its bytes are in the store of FILES_URL."""

    id = fields.BigIntField(primary_key=True, generated=False)
    direction = AsciiField(max_length=3)
    customer_id = fields.BigIntField(null=True)
    ticket_id = fields.BigIntField(null=True, db_index=True)
    reply_id = fields.BigIntField(null=True)
    wamid = AsciiField(max_length=200, null=True)
    kind = AsciiField(max_length=8)
    media_id = AsciiField(max_length=128, default="")
    media_until = InstantField(null=True)
    mime_type = fields.CharField(max_length=100, default="")
    filename = fields.CharField(max_length=255, default="")
    size = fields.BigIntField(null=True)
    sha256 = AsciiField(max_length=64, default="")
    state = AsciiField(max_length=10)
    reason = fields.CharField(max_length=300, default="")
    attempts = fields.IntField(default=0)
    owner = AsciiField(max_length=32, default="")
    due_at = InstantField()
    created_at = InstantField()
    stored_at = InstantField(null=True)

    class Meta:
        table = "file"
        indexes = (Index(fields=("state", "due_at")), Index(fields=("customer_id", "media_id")))


class Template(Model):
    """A template as Meta has it, synced from there."""

    id = AsciiField(max_length=32, primary_key=True)
    name = AsciiField(max_length=512)
    language = AsciiField(max_length=20)
    category = AsciiField(max_length=30, default="")
    status = AsciiField(max_length=30)
    reason = fields.CharField(max_length=300, default="")
    components = fields.TextField()
    status_at = InstantField()
    synced_at = InstantField()

    class Meta:
        table = "template"
        indexes = (Index(fields=("name", "language")),)


class NoticeTemplate(Model):
    """Which template carries a kind of notice outside of the window, in one language."""

    id = AsciiField(max_length=40, primary_key=True)
    kind = AsciiField(max_length=20)
    language = AsciiField(max_length=20)
    template_name = AsciiField(max_length=512)
    template_language = AsciiField(max_length=20)
    parameters = fields.TextField()
    updated_at = InstantField()

    class Meta:
        table = "notice_template"


class Alert(Model):
    """Something that an operator has to know or mend, one row a subject."""

    subject = AsciiField(max_length=200, primary_key=True)
    severity = AsciiField(max_length=8)
    message = fields.CharField(max_length=500)
    raised_at = InstantField()
    said_at = InstantField(null=True)
    cleared_at = InstantField(null=True)

    class Meta:
        table = "alert"


class Account(Model):
    """What Meta last said of our number, as JSON."""

    phone_number_id = AsciiField(max_length=32, primary_key=True)
    body = fields.TextField()
    asked_at = InstantField()

    class Meta:
        table = "account"


class Audit(Model):
    """Who changed what at the desk, over REST or on the command line. Written with the change, never altered."""

    id = fields.BigIntField(primary_key=True, generated=False)
    at = InstantField()
    actor = fields.CharField(max_length=200)
    action = AsciiField(max_length=40)
    object_id = fields.CharField(max_length=64)
    detail = fields.TextField(default="")

    class Meta:
        table = "audit"


class ApiKey(Model):
    """A key to the REST API: what is stored lets nobody in."""

    id = fields.BigIntField(primary_key=True, generated=False)
    name = fields.CharField(max_length=100)
    role = AsciiField(max_length=10)
    prefix = AsciiField(max_length=16)
    digest = AsciiField(max_length=64, unique=True)
    created_at = InstantField()
    expires_at = InstantField(null=True)
    revoked_at = InstantField(null=True)

    class Meta:
        table = "api_key"


class Agent(Model):
    """A person at the desk."""

    id = fields.BigIntField(primary_key=True, generated=False)
    email = fields.CharField(max_length=191, unique=True)
    name = fields.CharField(max_length=200)
    role = AsciiField(max_length=10)
    password_hash = AsciiField(max_length=200)
    disabled_at = InstantField(null=True)
    created_at = InstantField()

    class Meta:
        table = "agent"


class DeskSession(Model):
    """A sign-in at the desk, from the password to the sign-out. What is stored lets nobody in."""

    digest = AsciiField(max_length=64, primary_key=True)
    agent_id = fields.BigIntField(db_index=True)
    expires_at = InstantField()

    class Meta:
        table = "desk_session"


class Counter(Model):
    """Numbers that people read and type: a process reserves them in blocks."""

    name = AsciiField(max_length=32, primary_key=True)
    value = fields.BigIntField()

    class Meta:
        table = "counter"


class DailyTotal(Model):
    """What the journal held before retention deleted it, per day and fate, so that the counts never shrink."""

    id = AsciiField(max_length=32, primary_key=True)
    fate = AsciiField(max_length=10)
    total = fields.BigIntField()

    class Meta:
        table = "daily_total"

"""Defines the tables of what customers write and what becomes of it, in the order in which a message meets them.

The docstrings of the classes become comments of the tables, so they have no semicolon, and a change of one needs a
migration. Ids are made by the process (time-ordered, 63 bits); tickets have short numbers. Rows point at each other by
plain ids: the writers on the hot path insert in bulk, and each checks what it relies on.

Invariants
- An item's key is unique.
- An alias belongs to one customer.
- A conversation's version only rises, and each transaction that changes what a flow may know raises it (`fence.py`).
- A row of the outbox only moves forward in status (`outbox.py`).
"""

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from storage.sql.columns import AsciiField, InstantField


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
    named_at = InstantField(null=True)
    is_first = fields.BooleanField(default=False, db_default=False)

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
    detail = fields.CharField(max_length=300, default="", db_default="")
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
        indexes = (
            Index(fields=("customer_id", "status")),
            Index(fields=("status", "due_at")),
            Index(fields=("reason", "id")),  # most rows have none: the few others are found at once
        )


class OutboxWamid(Model):
    """An id that Meta gave to a row of the outbox, of those that had more than one: each of them still settles it."""

    wamid = AsciiField(max_length=200, primary_key=True)
    outbox_id = fields.BigIntField(db_index=True)

    class Meta:
        table = "outbox_wamid"


class Ticket(Model):
    """What a customer wants solved. The columns carry the names of the original guide."""

    id = fields.BigIntField(primary_key=True, generated=False)
    customer_id = fields.BigIntField(null=True, db_index=True)
    name = fields.CharField(max_length=200, default="")
    email = fields.CharField(max_length=254, null=True)
    mobile = AsciiField(max_length=20, null=True)
    description = fields.TextField()
    issue_type = fields.CharField(max_length=50)
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
        # each filter of the list has one that holds its order, so that a page is found without looking at tickets
        indexes = (
            Index(fields=("created_at", "id")),
            Index(fields=("status", "created_at", "id")),
            Index(fields=("issue_type", "created_at", "id")),
            Index(fields=("issue_type", "status", "created_at", "id")),
            Index(fields=("mobile", "created_at", "id")),
        )


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


class TicketEvent(Model):
    """The event log: what happened to a ticket, and nothing of what anybody wrote. Rows are only ever added."""

    id = fields.BigIntField(primary_key=True, generated=False)
    ticket_id = fields.BigIntField()
    customer_id = fields.BigIntField(null=True)
    kind = AsciiField(max_length=12)
    author = AsciiField(max_length=10)
    author_id = fields.BigIntField(null=True)
    was = AsciiField(max_length=20, default="")
    became = AsciiField(max_length=20, default="")
    reply_id = fields.BigIntField(null=True)
    outbox_id = fields.BigIntField(null=True)
    at = InstantField()

    class Meta:
        table = "ticket_event"
        indexes = (Index(fields=("ticket_id", "id")),)


class KeptCount(Model):
    """A count that people look at, or one of the shards that are added up to it."""

    id = AsciiField(max_length=64, primary_key=True)
    counted = AsciiField(max_length=10)
    state = AsciiField(max_length=12)
    topic = fields.CharField(max_length=50, default="")
    total = fields.BigIntField()

    class Meta:
        table = "kept_count"


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
    reserved_bytes = fields.BigIntField(null=True)
    wanted_at = InstantField(null=True)

    class Meta:
        table = "file"
        indexes = (
            Index(fields=("state", "due_at")),
            Index(fields=("customer_id", "media_id")),
            Index(fields=("customer_id", "stored_at")),
        )


class FileBudget(Model):
    """The budget of what a customer may have stored in a day. Its row is locked by whoever reserves a part of it."""

    customer_id = fields.BigIntField(primary_key=True, generated=False)
    told_at = InstantField(null=True)

    class Meta:
        table = "file_budget"


class WriteProbe(Model):
    """One row that is written to find out whether the database takes writes."""

    id = fields.IntField(primary_key=True, generated=False)
    written_at = InstantField()
    body = fields.TextField()

    class Meta:
        table = "write_probe"

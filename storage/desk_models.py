"""Defines the tables of our own side: what Meta says of our account, who may do what, who did what, what is counted.

The docstrings of the classes become comments of the tables, as in `models.py`.
"""

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from storage.sql.columns import AsciiField, InstantField


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
    last_used_at = InstantField(null=True)

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
    last_sign_in_at = InstantField(null=True)

    class Meta:
        table = "agent"


class DeskSession(Model):
    """A sign-in at the desk, from the password to the sign-out. What is stored lets nobody in."""

    digest = AsciiField(max_length=64, primary_key=True)
    agent_id = fields.BigIntField(db_index=True)
    expires_at = InstantField()

    class Meta:
        table = "desk_session"


class SignInNetwork(Model):
    """A network from which an agent has signed in, as a keyed digest of both."""

    digest = AsciiField(max_length=64, primary_key=True)
    agent_id = fields.BigIntField(db_index=True)
    last_at = InstantField()

    class Meta:
        table = "sign_in_network"


class Answering(Model):
    """A process that answers webhooks: since when without a gap, and when it last said so."""

    owner = AsciiField(max_length=32, primary_key=True)
    begun_at = InstantField()
    seen_at = InstantField()

    class Meta:
        table = "answering"


class Counter(Model):
    """Numbers that go on from where they were: tickets' short ones, of which a process reserves blocks, and others."""

    name = AsciiField(max_length=32, primary_key=True)
    value = fields.BigIntField()

    class Meta:
        table = "counter"


class WorkerPulse(Model):
    """The pulse of a worker that Redis does not hear."""

    owner = AsciiField(max_length=32, primary_key=True)
    beats = fields.BigIntField()
    beat_at = InstantField()

    class Meta:
        table = "worker_pulse"


class DailyTotal(Model):
    """What the journal held before retention deleted it, per day and fate, so that the counts never shrink."""

    id = AsciiField(max_length=32, primary_key=True)
    fate = AsciiField(max_length=10)
    total = fields.BigIntField()

    class Meta:
        table = "daily_total"


class Takeover(Model):
    """How far a table of the original system, which this is named after, was copied into ours."""

    name = AsciiField(max_length=16, primary_key=True)
    highest_id = fields.BigIntField()
    last_id = fields.BigIntField()
    copied = fields.BigIntField()
    country = AsciiField(max_length=2)
    time_zone = AsciiField(max_length=64)
    begun_at = InstantField()
    finished_at = InstantField(null=True)

    class Meta:
        table = "takeover"

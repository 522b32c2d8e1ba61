"""Builds what the doors call, each service once a process, and finds it for the request that is answered.

Invariants
- A door builds nothing for itself, so the desk and the API do the same thing in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from quart import Quart, current_app

from api.readiness import ReadinessCheck, WatchedIntake
from api.web.audit_trail import AuditTrail
from api.web.auth import KeyRing
from api.web.deferred_writes import DeferredWrites
from api.web.qr_pictures import QrPainter
from api.web.undeclared_proxies import UndeclaredProxies
from api.web.uploads import Uploads
from bot.account.phone_number import PhoneNumberMonitor
from bot.account.qr_codes import QrCodes
from bot.agents.connection import ConnectionCommands
from bot.agents.files import FileCommands
from bot.agents.messages import MessageCommands
from bot.agents.replies import ReplyCommands
from bot.agents.tickets import TicketCommands
from bot.agents.transaction import AgentTransaction
from bot.bootstrap import Resources
from bot.clock import Clock
from bot.ids import IdMaker
from bot.intake.intake import Intake
from bot.intake.rehearsal import Rehearsal
from bot.metrics import Metrics
from bot.templates.assignments import TemplateAssignments
from bot.templates.sync import TemplateSync
from flows import DEFAULT_ISSUE_TYPES, IssueType
from flows.scripts.draft_actions import OTHER
from storage.blobs.store import FileStore
from storage.sql.database import Database

EXTENSION = "tick"


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What a door may call. A change goes through a service; what is only shown is read from `database`."""

    phone_number_id: str
    issue_types: Sequence[IssueType]
    database: Database
    store: FileStore
    clock: Clock
    ids: IdMaker
    metrics: Metrics
    readiness: ReadinessCheck
    keys: KeyRing
    deferred: DeferredWrites
    undeclared_proxies: UndeclaredProxies
    audit_trail: AuditTrail
    intake: WatchedIntake
    tickets: TicketCommands
    replies: ReplyCommands
    messages: MessageCommands
    connection: ConnectionCommands
    files: FileCommands
    uploads: Uploads
    templates: TemplateSync
    template_assignments: TemplateAssignments
    phone_number: PhoneNumberMonitor
    qr_codes: QrCodes
    qr_painter: QrPainter

    def list_issue_type_ids(self) -> list[str]:
        """Lists what a new ticket's issue type may be: the desk's own, and where all goes that is none of them."""
        return list(dict.fromkeys([*(issue_type.type_id for issue_type in self.issue_types), OTHER]))

    def find_issue_type_label(self, type_id: str) -> str:
        """Returns what customers pick to mean this issue type; the id itself for one that is no longer the desk's."""
        return next((known.label for known in self.issue_types if known.type_id == type_id), type_id)


def make_services(resources: Resources, issue_types: Sequence[IssueType] = DEFAULT_ISSUE_TYPES) -> Services:
    """Builds the services of one process from what it has open. `issue_types`: the desk's."""
    database, ids, clock, graph = resources.database, resources.ids, resources.clock, resources.graph
    phone_number_id = graph.settings.phone_number_id
    deferred = DeferredWrites(database)
    transaction = AgentTransaction(database=database, lanes=resources.lanes, ids=ids, clock=clock)
    intake = Intake(
        database=database,
        lanes=resources.lanes,
        ids=ids,
        clock=clock,
        phone_number_id=phone_number_id,
        metrics=resources.metrics,
    )
    watched = WatchedIntake(intake)
    return Services(
        phone_number_id=phone_number_id,
        issue_types=issue_types,
        database=database,
        store=resources.store,
        clock=clock,
        ids=ids,
        metrics=resources.metrics,
        readiness=ReadinessCheck(
            database=database,
            lanes=resources.lanes,
            intake=watched,
            rehearsal=Rehearsal(database=database, intake=intake, clock=clock),
            clock=clock,
            redis_watch=resources.redis_watch,
            is_redis_embedded=resources.is_redis_embedded,
            troubles=resources.troubles,
        ),
        keys=KeyRing(database, clock, deferred),
        deferred=deferred,
        undeclared_proxies=UndeclaredProxies(deferred, clock),
        audit_trail=AuditTrail(database=database, ids=ids, clock=clock, deferred=deferred),
        intake=watched,
        tickets=TicketCommands(transaction, resources.numbers),
        replies=ReplyCommands(transaction),
        messages=MessageCommands(transaction),
        connection=ConnectionCommands(transaction),
        files=FileCommands(transaction, resources.media.ring),
        uploads=Uploads(database=database, store=resources.store, ids=ids, clock=clock),
        templates=resources.templates,
        template_assignments=TemplateAssignments(database, ids, clock),
        phone_number=resources.phone_number,
        qr_codes=QrCodes(graph),
        qr_painter=QrPainter(),
    )


def add_services(app: Quart, services: Services) -> None:
    """Gives an application its services, for `services`."""
    app.extensions[EXTENSION] = services


def services() -> Services:
    """Finds the services of the application that answers this request."""
    found: Services = current_app.extensions[EXTENSION]
    return found

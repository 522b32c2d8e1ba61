"""Answers REST callers whose change can't be made."""

from collections.abc import Mapping

from quart import Response

from api.web.fields import read_id
from api.web.responses import NOT_VALID, Problem, refuse
from bot.agents.errors import AgentError, ErrorCode, MessageNotFound

STATUSES: Mapping[ErrorCode, int] = {
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.UNUSABLE_VALUE: 422,
    ErrorCode.ILLEGAL_STATUS_CHANGE: 409,
    ErrorCode.WINDOW_CLOSED: 409,
    ErrorCode.NOT_ON_WHATSAPP: 409,
    ErrorCode.NOT_IN_DOUBT: 409,
}


async def refuse_agent_error(error: AgentError) -> Response:
    """Says in the shape of all refusals what was in the way; with a conflict the message is the error's code."""
    status = STATUSES[error.code]
    if status == 404:
        return refuse(404, error.sentence[0].upper() + error.sentence[1:])
    message = NOT_VALID if status == 422 else error.code
    return refuse(status, message, [Problem(field=error.field, message=error.sentence)])


def read_message_id(text: str) -> int:
    """Reads the id of a reply or a message from an address; raises MessageNotFound for what can't be one."""
    known = read_id(text)
    if known is None:
        raise MessageNotFound
    return known

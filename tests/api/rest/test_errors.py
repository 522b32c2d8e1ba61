"""What keeps a change from being made has a status over REST and words at the desk, whichever it is."""

import pytest

from api.desk.errors import find_answer
from api.rest.errors import STATUSES, refuse_agent_error
from api.web.credentials import Role
from bot.agents.errors import (
    AgentError,
    ErrorCode,
    IllegalStatusChange,
    MessageNotFound,
    NotInDoubt,
    NotOnWhatsApp,
    TicketNotFound,
    UnusableValue,
    WindowClosed,
)
from storage.statuses import TicketStatus
from tests.api.rest_service import Service

ERRORS: list[AgentError] = [
    TicketNotFound(),
    MessageNotFound(),
    UnusableValue("quote", "must be a message"),
    IllegalStatusChange(TicketStatus.CLOSED, TicketStatus.NEW),
    WindowClosed(),
    NotOnWhatsApp(),
    NotInDoubt(),
]


def test_every_code_is_one_of_an_error_and_has_a_status() -> None:
    assert {error.code for error in ERRORS} == set(ErrorCode) == set(STATUSES)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_error_is_told_over_rest_and_at_the_desk(error: AgentError) -> None:
    response = await refuse_agent_error(error)
    assert response.status_code == STATUSES[error.code]
    told = await response.get_data(as_text=True)
    assert ("errors" in told) == (error.code is not ErrorCode.NOT_FOUND)
    if error.code is not ErrorCode.NOT_FOUND:
        assert error.sentence in told
        answer = find_answer(error, "answer_customer")
        assert answer
        assert answer.sentence


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"1", b"null"])
async def test_what_is_no_object_is_refused_without_a_name_of_ours(light_service: Service, body: bytes) -> None:
    path = "/api/whatsapp/notices/opened/en"
    answer = await light_service.expect_refusal(422, "PUT", path, body, role=Role.ADMIN)
    assert [problem["message"] for problem in answer["errors"]] == ["Send a JSON object"]

"""What keeps a change from being made has a status over REST and words at the desk, whichever it is."""

import pytest

from api.desk.errors import find_answer
from api.rest.errors import STATUSES, refuse_agent_error
from api.web.credentials import Role
from api.web.responses import MAX_MEMBERS
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
from tests.api.rest_service import TICKET, Service

ANSWER = {"ticket_id": 1, "message": "Hello"}
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
    assert error.sentence[1:] in told
    if error.code is not ErrorCode.NOT_FOUND:
        answer = find_answer(error, "answer_customer")
        assert answer
        assert answer.sentence


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"1", b"null"])
async def test_what_is_no_object_is_refused_without_a_name_of_ours(light_service: Service, body: bytes) -> None:
    path = "/api/whatsapp/notices/opened/en"
    answer = await light_service.expect_refusal(422, "PUT", path, body, role=Role.ADMIN)
    assert [problem["message"] for problem in answer["errors"]] == ["Send a JSON object"]


def nest(value: object, times: int) -> object:
    return value if times == 0 else {"a": nest(value, times - 1)}


@pytest.mark.parametrize(
    "body",
    [
        {f"{number:x}": 0 for number in range(MAX_MEMBERS + 1)},
        TICKET | {"name": [0] * (MAX_MEMBERS + 1)},
        [[0] * 100] * 11,
        nest([0] * MAX_MEMBERS, 3),
    ],
    ids=["members", "list", "lists", "deep"],
)
async def test_what_has_too_many_members_is_not_looked_at_one_by_one(light_service: Service, body: object) -> None:
    answer = await light_service.expect_refusal(422, "POST", "/api/tickets", body)
    assert answer == {"success": False, "message": "The request has too many members"}


async def test_what_has_just_enough_members_is_validated(light_service: Service) -> None:
    body = {f"{number:x}": 0 for number in range(MAX_MEMBERS)}
    answer = await light_service.expect_refusal(422, "POST", "/api/tickets", body)
    assert len(answer["errors"]) == 50


async def test_a_query_with_too_many_members_is_not_looked_at_one_by_one(light_service: Service) -> None:
    answer = await light_service.expect_refusal(422, "GET", "/api/tickets?" + "&".join("abc" for _ in range(200)))
    assert answer == {"success": False, "message": "The request has too many members"}


def test_a_move_that_is_not_there_names_those_that_are() -> None:
    error = IllegalStatusChange(TicketStatus.CLOSED, TicketStatus.NEW)
    assert error.sentence == "a ticket that is closed can't go there; it can go to in_progress"


@pytest.mark.parametrize(
    ("method", "path", "body", "told"),
    [
        ("POST", "/api/tickets", TICKET | {"name": None}, "name: must be text"),
        ("POST", "/api/tickets", TICKET | {"name": ""}, "name: must not be empty"),
        ("POST", "/api/tickets", TICKET | {"name": "x" * 201}, "name: must have 200 characters at most"),
        ("POST", "/api/tickets", TICKET | {"surname": "Ann"}, "surname: is no field of this request"),
        ("POST", "/api/tickets", TICKET | {"whatsapp_notifications": 1}, "whatsapp_notifications: must be true or"),
        ("POST", "/api/tickets", TICKET | {"mobile": "x"}, "mobile: must be an international phone number"),
        ("POST", "/api/replies", {"message": "Hello"}, "ticket_id: must be given"),
        ("POST", "/api/replies", ANSWER | {"ticket_id": "1"}, "ticket_id: must be a whole number"),
        ("POST", "/api/replies", ANSWER | {"file_ids": "1"}, "file_ids: must be a list"),
        ("POST", "/api/replies", ANSWER | {"file_ids": ["1"] * 11}, "file_ids: must have 10 members at most"),
        ("GET", "/api/tickets?limit=101", None, "limit: must be 100 or less"),
        ("GET", "/api/tickets?limit=0", None, "limit: must be 1 or more"),
        ("GET", "/api/tickets?limit=ten", None, "limit: must be a whole number"),
        ("GET", "/api/tickets?limit=1.5", None, "limit: must be a whole number"),
        ("GET", "/api/tickets?status=open", None, "status: must be 'new', 'in_progress', 'waiting'"),
    ],
)  # fmt: skip
async def test_a_value_is_refused_in_words_for_people(
    light_service: Service, method: str, path: str, body: object, told: str
) -> None:
    answer = await light_service.expect_refusal(422, method, path, body)
    assert [f"{problem['field']}: {problem['message']}"[: len(told)] for problem in answer["errors"]] == [told]

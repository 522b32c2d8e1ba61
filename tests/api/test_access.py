"""Access that is taken away is gone at once, in every process, and the audit says so."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from api import access
from api.admin import CommandRefused, create_key
from api.services import Services
from api.web.audit_trail import MAX_REFUSALS_PER_HOUR
from api.web.credentials import Role
from storage import agents
from tests.api.desk.visitor import PASSWORD, Visitor, hire, visitor
from tests.api.rest_service import NOW, Service, serve_on

EMAIL = "agent@example.com"
NEW_PASSWORD = "another horse battery"


async def count_actions(service: Service) -> Counter[str]:
    """What was done about agents, and how often."""
    rows = await service.rows("SELECT action FROM audit WHERE action LIKE 'agent.%'")
    return Counter(action.removeprefix("agent.") for (action,) in rows)


async def is_in(browser: Visitor) -> bool:
    """Whether both the desk and the API let this browser in."""
    statuses = ((await browser.get("/desk")).status_code, (await browser.get("/api/tickets")).status_code)
    assert statuses in ((200, 200), (303, 401))
    return statuses == (200, 200)


async def test_a_revoked_key_is_no_good_at_the_next_request_of_any_process(
    service: Service, migrated_url: str, redis_url: str
) -> None:
    key = await create_key(service.resources.database, "till", Role.AGENT, service.clock.now)
    bearer = {"Authorization": f"Bearer {key}"}
    async with serve_on(service.resources.database, migrated_url, redis_url) as other:
        for process in (service, other):
            assert (await process.http.get("/api/tickets", headers=bearer)).status_code == 200
        revoked, is_new = await access.revoke_key(service.resources.database, "till", NOW)
        assert (revoked.name, is_new) == ("till", True)
        for process in (service, other):
            assert (await process.http.get("/api/tickets", headers=bearer)).status_code == 401
            assert (await process.call("GET", "/api/tickets")).status_code == 200
    assert (await access.revoke_key(service.resources.database, key[:12], NOW))[1] is False
    [[detail]] = await service.rows("SELECT detail FROM audit WHERE action = 'key.revoke'")
    assert detail == "till"


async def test_a_key_is_named_without_doubt(light_service: Service) -> None:
    database = light_service.resources.database
    first = await create_key(database, "till", Role.AGENT, NOW)
    await create_key(database, "till", Role.AGENT, NOW)
    [first_id, second_id] = [key.key_id for key in await access.list_keys(database) if key.name == "till"]
    with pytest.raises(
        CommandRefused, match=f"There are 2 keys 'till': say which one by its id, {first_id}, {second_id}"
    ):
        await access.revoke_key(database, "till", NOW)
    with pytest.raises(CommandRefused, match="does not belong on a command line"):
        await access.revoke_key(database, first, NOW)
    with pytest.raises(CommandRefused, match="There is no key 'tall'"):
        await access.revoke_key(database, "tall", NOW)
    await access.revoke_key(database, str(first_id), NOW)
    assert (await access.revoke_key(database, "till", NOW))[0].key_id == second_id  # one alone has the name now


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("90", NOW + timedelta(days=90)),
        ("1", NOW + timedelta(days=1)),
        ("2026-03-01", NOW.replace(day=2, hour=0, microsecond=0)),
        ("2027-01-31", NOW.replace(year=2027, month=2, day=1, hour=0, microsecond=0)),
        ("0", "1 to 3650 days"),
        ("99999", "1 to 3650 days"),
        ("2026-02-28", "is over"),
        ("2026-02-30", "such as 2027-01-31"),
        ("9999-12-31", "such as 2027-01-31"),
        ("soon", "such as 90"),
        ("-1", "such as 90"),
        ("1.5", "such as 90"),
    ],
)
def test_until_when_a_key_is_good(text: str, until: object) -> None:
    if isinstance(until, str):
        with pytest.raises(CommandRefused, match=until):
            access.read_expiry(text, NOW)
    else:
        assert access.read_expiry(text, NOW) == until


async def test_a_use_is_recorded_by_and_by_and_once_a_minute(service: Service) -> None:
    services: Services = service.app.extensions["tick"]

    async def read_last_use() -> object:
        await services.deferred.flush()
        [[at]] = await service.rows("SELECT last_used_at FROM api_key WHERE role = 'agent'")
        return at

    assert await read_last_use() is None
    seconds_and_records = [(0, 0), (30, 0), (29, 0), (2, 61), (59, 61), (1, 121)]
    for seconds, recorded in seconds_and_records:
        service.clock.forward(seconds=seconds)
        assert (await service.call("GET", "/api/tickets")).status_code == 200
        at = NOW + timedelta(seconds=recorded)
        assert await read_last_use() == int(at.timestamp() * 1000)
    assert (await service.http.get("/api/tickets", headers={"Authorization": "Bearer tick_wrong"})).status_code == 401
    await services.deferred.flush()
    unused = await service.rows("SELECT role FROM api_key WHERE last_used_at IS NULL")
    assert {role for (role,) in unused} == {"viewer", "admin"}


async def test_a_disabled_agent_is_out_everywhere_and_comes_back_with_a_new_sign_in(
    service: Service, migrated_url: str, redis_url: str
) -> None:
    database = service.resources.database
    async with (
        serve_on(service.resources.database, migrated_url, redis_url) as other,
        visitor(service, Role.AGENT) as alex,
        visitor(other, Role.AGENT) as alex_elsewhere,
    ):
        assert [await is_in(alex), await is_in(alex_elsewhere)] == [True, True]
        assert await access.disable_agent(database, " Agent@Example.com", NOW) is True
        assert [await is_in(alex), await is_in(alex_elsewhere)] == [False, False]
        assert (await alex.sign_in(EMAIL)).status_code == 401
        assert await access.disable_agent(database, EMAIL, NOW) is False
        assert await access.enable_agent(database, EMAIL, NOW) is True
        assert [await is_in(alex), await is_in(alex_elsewhere)] == [False, False]  # what was ended stays so
        assert (await alex.sign_in(EMAIL)).status_code == 303
        assert await is_in(alex)
    assert await access.enable_agent(database, EMAIL, NOW) is False
    assert await count_actions(service) == {"sign_in": 3, "disable": 1, "enable": 1}


async def test_another_password_ends_what_the_old_one_began(service: Service) -> None:
    database = service.resources.database
    async with visitor(service, Role.AGENT) as alex, visitor(service, Role.VIEWER) as vic:
        with pytest.raises(CommandRefused, match="12 characters"):
            await access.set_password(database, EMAIL, "short", NOW)
        assert await is_in(alex)
        await access.set_password(database, EMAIL, NEW_PASSWORD, NOW)
        assert [await is_in(alex), await is_in(vic)] == [False, True]
        assert (await alex.sign_in(EMAIL, PASSWORD)).status_code == 401
        assert (await alex.sign_in(EMAIL, NEW_PASSWORD)).status_code == 303
    assert (await count_actions(service))["password"] == 1


async def test_a_sign_in_under_way_does_not_outlive_the_password_that_it_gave(service: Service) -> None:
    await hire(service, Role.AGENT)
    database = service.resources.database
    async with database.reading() as tx:
        known = await agents.find_by_email(tx, EMAIL)
    assert known is not None
    until, began = NOW + timedelta(hours=1), []
    for digest, change in (
        ("1", access.sign_out_everywhere(database, EMAIL, NOW)),
        ("2", access.set_password(database, EMAIL, NEW_PASSWORD, NOW)),
        ("3", access.disable_agent(database, EMAIL, NOW)),
    ):
        await change
        async with database.transaction() as tx:
            began.append(await agents.begin_session(tx, digest, known, NOW, until))
    assert began == [True, False, False]


async def test_another_role_holds_at_the_next_click(service: Service) -> None:
    database = service.resources.database
    async with visitor(service, Role.AGENT) as alex:
        assert (await alex.get("/desk/whatsapp/doctor")).status_code == 403
        assert await access.set_role(database, EMAIL, Role.ADMIN, NOW) is True
        assert (await alex.get("/desk/whatsapp/doctor")).status_code == 200
        assert await access.set_role(database, EMAIL, Role.ADMIN, NOW) is False
    [[actor, detail]] = await service.rows("SELECT actor, detail FROM audit WHERE action = 'agent.role'")
    assert (actor, detail) == ("command line", f"{EMAIL} agent -> admin")


async def test_the_last_admin_stays_one(service: Service) -> None:
    database = service.resources.database
    await hire(service, Role.ADMIN)
    await hire(service, Role.AGENT)
    await hire(service, Role.ADMIN, "gone@example.com")
    await access.disable_agent(database, "gone@example.com", NOW)
    for change, words in (
        (access.disable_agent(database, "admin@example.com", NOW), "can't be disabled"),
        (access.set_role(database, "admin@example.com", Role.AGENT, NOW), "can't get another role"),
    ):
        with pytest.raises(
            CommandRefused, match=f"admin@example.com is the last admin, and {words}.*Make somebody else"
        ):
            await change
    await access.set_role(database, "admin@example.com", Role.ADMIN, NOW)  # that it is
    await access.set_role(database, EMAIL, Role.ADMIN, NOW)
    assert await access.disable_agent(database, "admin@example.com", NOW) is True
    with pytest.raises(CommandRefused, match="There is no agent 'nobody@example.com'"):
        await access.disable_agent(database, "nobody@example.com", NOW)


async def test_of_two_admins_who_are_disabled_at_once_one_stays(service: Service) -> None:
    await hire(service, Role.ADMIN, "one@example.com")
    await hire(service, Role.ADMIN, "two@example.com")
    database = service.resources.database

    async def is_disabled(email: str) -> bool:
        try:
            return await access.disable_agent(database, email, NOW)
        except CommandRefused:
            return False

    outcomes = await asyncio.gather(is_disabled("one@example.com"), is_disabled("two@example.com"))
    assert sorted(outcomes) == [False, True]


async def test_an_agent_signs_out_everywhere_by_a_button(service: Service, migrated_url: str, redis_url: str) -> None:
    async with (
        serve_on(service.resources.database, migrated_url, redis_url) as other,
        visitor(service, Role.AGENT) as alex,
        visitor(other, Role.AGENT) as alex_elsewhere,
        visitor(service, Role.VIEWER) as vic,
    ):
        assert 'action="/desk/sign-out-everywhere"' in (await alex.get("/desk")).text
        gone = await alex.send("/desk/sign-out-everywhere")
        assert (gone.status_code, gone.headers["location"]) == (303, "/desk/sign-in")
        assert {cookie.name for cookie in alex.http.cookies.jar} == {"tick-browser"}  # that is no sign-in
        assert [await is_in(browser) for browser in (alex, alex_elsewhere, vic)] == [False, False, True]
        assert (await alex.sign_in(EMAIL)).status_code == 303
        assert (await alex.send("/desk/sign-out")).status_code == 303
    assert await count_actions(service) == {"sign_in": 4, "sign_out_everywhere": 1, "sign_out": 1}
    lines = await service.rows("SELECT DISTINCT actor FROM audit WHERE action LIKE 'agent.sign_out%'")
    assert [actor for (actor,) in lines] == [f"Alex agent ({EMAIL})"]


async def test_an_admin_signs_an_agent_out_everywhere(service: Service) -> None:
    database = service.resources.database
    async with visitor(service, Role.AGENT) as alex, visitor(service, Role.AGENT) as alex_elsewhere:
        [listed] = await access.list_agents(database, NOW)
        assert (listed.email, listed.open_sessions, listed.last_sign_in_at) == (EMAIL, 2, NOW)
        assert await access.sign_out_everywhere(database, EMAIL, NOW) == 2
        assert [await is_in(alex), await is_in(alex_elsewhere)] == [False, False]
    assert await access.sign_out_everywhere(database, EMAIL, NOW) == 0
    assert await count_actions(service) == {"sign_in": 2, "sign_out_everywhere": 1}


async def test_a_wrong_password_is_in_the_audit_with_where_it_came_from(light_service: Service) -> None:
    await hire(light_service, Role.AGENT)
    async with visitor(light_service, address="127.0.0.3") as stranger:
        for email in (EMAIL, "nobody@example.com"):
            assert (await stranger.sign_in(email, "wrong")).status_code == 401
    services: Services = light_service.app.extensions["tick"]
    await services.deferred.flush()
    lines = await light_service.rows("SELECT actor, detail FROM audit WHERE action = 'agent.sign_in_refused'")
    assert [tuple(line) for line in lines] == [("somebody at 127.0.0.3", EMAIL)]


async def test_who_guesses_does_not_fill_the_audit(light_service: Service) -> None:
    await hire(light_service, Role.AGENT)
    services: Services = light_service.app.extensions["tick"]
    async with light_service.resources.database.reading() as tx:
        agent = await agents.find_by_email(tx, EMAIL)
    assert agent is not None
    for hour in (1, 2):
        for number in range(3 * MAX_REFUSALS_PER_HOUR):
            services.audit_trail.record_refusal(agent, f"192.0.2.{number}")
        await services.deferred.flush()
        assert len(await light_service.rows("SELECT id FROM audit WHERE actor LIKE 'somebody%'")) == 10 * hour
        light_service.clock.forward(hours=1)


async def test_nobody_is_signed_out_while_the_app_secret_is_changed(
    light_service: Service, migrated_sqlite_url: str, redis_url: str
) -> None:
    database = light_service.resources.database
    async with visitor(light_service, Role.AGENT) as alex:
        token, cookie = await alex.token(), alex.http.cookies["tick"]
    headers, form = {"Cookie": f"tick={cookie}"}, {"csrf_token": token}
    seen = {}
    for name, secrets in {"both": ["a new secret", "an app secret"], "new alone": ["a new secret"]}.items():
        async with (
            serve_on(database, migrated_sqlite_url, redis_url, app_secrets=secrets) as restarted,
            visitor(restarted) as alex,
        ):
            page = await alex.get("/desk", headers=headers)
            changed = await alex.post("/desk/tickets/5/status", form | {"status": "closed"}, headers=headers)
            seen[name] = (page.status_code, changed.status_code)  # there is no ticket 5
            entered = await alex.sign_in(EMAIL)
            assert (entered.status_code, await is_in(alex)) == (303, True)
    assert seen == {"both": (200, 404), "new alone": (303, 401)}

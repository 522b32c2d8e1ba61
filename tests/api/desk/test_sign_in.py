"""Signing in at the desk: who gets in, who does not, and what those who guess find out."""

import asyncio
import hashlib
import hmac
import statistics
import time
from datetime import timedelta
from ipaddress import ip_network

import httpx
import pytest
from quart_auth import QuartAuth

import api.services
from api.desk.known_places import COOKIE
from api.desk.passwords import MAX_WAITING_CHECKS, TooManyChecks
from api.desk.services import EXTENSION, DeskServices
from api.desk.sign_in import WRONG, keep_desk_path
from api.services import Services
from api.web.credentials import Role, hash_password
from tests.api.desk.visitor import CHEAP_HASH, PASSWORD, Visitor, hire, visitor
from tests.api.rest_service import Service, serve_api


def read_cookie(response: httpx.Response, name: str = "tick") -> str:
    names = (f"{name}=", f"__Host-{name}=")
    [header] = [header for header in response.headers.get_list("set-cookie") if header.startswith(names)]
    return str(header)


async def test_in_and_out_again(service: Service) -> None:
    email = await hire(service, Role.AGENT)
    async with visitor(service) as alex:
        assert "Sign in to the desk" in (await alex.get("/desk/sign-in")).text
        entered = await alex.sign_in(f"  {email.upper()} ")
        assert (entered.status_code, entered.headers["location"]) == (303, "/desk")
        name, _, rest = read_cookie(entered).partition("=")
        assert name == "tick"
        assert {part.strip() for part in rest.split(";")[1:]} == {"HttpOnly", "Path=/", "SameSite=Lax"}
        page = await alex.get("/desk")
        assert (page.status_code, "Alex agent" in page.text) == (200, True)
        assert (await alex.get("/desk/sign-in")).headers["location"] == "/desk"
        kept = f"tick={alex.http.cookies['tick']}"
        gone = await alex.send("/desk/sign-out")
        assert (gone.status_code, gone.headers["location"]) == (303, "/desk/sign-in")
        assert list(alex.http.cookies) == [COOKIE]  # which opens nothing
        replayed = await alex.get("/desk", headers={"Cookie": kept})
        assert (replayed.status_code, replayed.headers["location"]) == (303, "/desk/sign-in?next=%2Fdesk")
    [[actor, action]] = await service.rows("SELECT actor, action FROM audit WHERE action = 'agent.sign_in'")
    assert (actor, action) == (f"Alex agent ({email})", "agent.sign_in")


async def test_a_session_is_new_at_each_sign_in(service: Service) -> None:
    async with visitor(service, Role.AGENT) as alex, visitor(service) as other:
        first = alex.http.cookies["tick"]
        await alex.sign_in("agent@example.com")
        second = alex.http.cookies["tick"]
        assert first != second
        for cookie, status in (
            (first, 303),
            (second, 200),
            (second[:-1] + "!", 303),
            ("x", 303),
            ("\u00e9.." * 9, 303),
        ):
            headers = {"Cookie": f"tick={cookie}".encode()}
            assert (await other.get("/desk", headers=headers)).status_code == status
        planted = await other.post(
            "/desk/sign-in", {"email": "agent@example.com", "password": PASSWORD}, headers={"Cookie": "tick=planted"}
        )
        assert "planted" not in read_cookie(planted)
        # the second browser's sign-in leaves the first one's alone, and no cookie's content is in the database
        assert (await alex.get("/desk")).status_code == 200
        rows = await service.rows("SELECT digest FROM desk_session")
        assert len(rows) == 2
        assert not any(digest in cookie for (digest,) in rows for cookie in (first, second))


async def test_nobody_is_signed_out_by_a_clock_that_is_put_back(light_service: Service) -> None:
    """The cookie says that it was made in an hour."""
    async with visitor(light_service, Role.AGENT) as alex:
        key = hmac.new(b"an app secret", b"tick desk cookie", hashlib.sha256).digest()
        serializer = QuartAuth.serializer_class(key, "tick desk")
        session_id = serializer.loads(alex.http.cookies["tick"])
        ahead = {"get_timestamp": lambda signer: int(time.time()) + 3600}
        serializer.signer = type("AheadSigner", (serializer.signer,), ahead)
        cookie = serializer.dumps(session_id)
        assert (await alex.get("/desk", headers={"Cookie": f"tick={cookie}"})).status_code == 200
        light_service.clock.now += timedelta(hours=13)
        assert (await alex.get("/desk", headers={"Cookie": f"tick={cookie}"})).status_code == 303


async def test_who_may_no_longer(light_service: Service) -> None:
    changes = {
        "UPDATE agent SET role = 'king'": 303,  # whoever that is, the password is right
        "UPDATE agent SET disabled_at = 1": 401,
        "DELETE FROM agent": 401,
    }
    for change, status in changes.items():
        async with visitor(light_service, Role.ADMIN) as alex:
            token = await alex.token()
            await light_service.execute(change)
            assert (await alex.get("/desk")).status_code == 303
            assert (await alex.get("/api/tickets")).status_code == 401
            form = {"csrf_token": token, "message": "A <long> answer."}
            refused = await alex.post("/desk/tickets/5/replies", form)
            assert refused.status_code == 401
            assert "A &lt;long&gt; answer." in refused.text  # to be copied, and sent after signing in again
            assert (await alex.sign_in("admin@example.com")).status_code == status
            await light_service.execute("UPDATE agent SET role = 'admin', disabled_at = NULL")


async def test_another_role_and_another_day(light_service: Service) -> None:
    async with visitor(light_service, Role.ADMIN) as alex:
        token = await alex.token()
        await light_service.execute("UPDATE agent SET role = 'viewer'")
        assert (await alex.post("/desk/tickets/5/status", {"csrf_token": token, "status": "new"})).status_code == 403
        light_service.clock.forward(hours=12)
        assert (await alex.get("/desk")).status_code == 303
        await alex.sign_in("admin@example.com")
        assert len(await light_service.rows("SELECT digest FROM desk_session")) == 1


async def test_whatever_is_wrong_sounds_the_same(light_service: Service) -> None:
    await hire(light_service, Role.AGENT)
    await hire(light_service, Role.ADMIN, "gone@example.com")
    await light_service.execute("UPDATE agent SET disabled_at = 1 WHERE email = 'gone@example.com'")
    tries = [
        ("agent@example.com", "wrong"), ("nobody@example.com", PASSWORD), ("gone@example.com", PASSWORD),
        ("agent@example.com", PASSWORD + " "), ("\u00e0gent@example.com", PASSWORD), ("", ""),
        ("agent@example.com' OR 1=1 --", "x"), ("<script>@example.com", "\u0000\ud7ff" + "x" * 5000),
    ]  # fmt: skip
    pages = set()
    async with visitor(light_service) as stranger:
        for email, password in tries:
            refused = await stranger.sign_in(email, password)
            assert refused.status_code == 401
            assert not refused.headers.get("set-cookie")
            assert "<script" not in refused.text
            pages.add(refused.text.partition("<form")[0])
    [page] = pages
    assert WRONG in page


async def test_a_wrong_name_takes_as_long_as_a_wrong_password(migrated_sqlite_url: str, redis_url: str) -> None:
    proxies = [ip_network("127.0.0.0/8")]
    async with (
        serve_api(migrated_sqlite_url, redis_url, trusted_proxies=proxies) as service,
        visitor(service) as stranger,
    ):
        real = hash_password(PASSWORD)
        seconds: dict[str, list[float]] = {"there": [], "nobody": []}
        for number in range(3):
            await hire(service, Role.AGENT, f"there{number}@example.com", real)
            for who, taken in seconds.items():
                before = time.perf_counter()
                refused = await stranger.post(
                    "/desk/sign-in",
                    {"email": f"{who}{number}@example.com", "password": "wrong"},
                    headers={"X-Forwarded-For": f"192.0.2.{number}"},
                )
                taken.append(time.perf_counter() - before)
                assert refused.status_code == 401
        # the shortest ones: other programs make some slower, and none faster
        there, nobody = (min(taken) for taken in seconds.values())
        assert 0.6 < there / nobody < 1.6


async def test_guessing_is_slowed_down_and_locks_nobody_out(light_service: Service) -> None:
    email = await hire(light_service, Role.AGENT)
    async with visitor(light_service) as guesser, visitor(light_service, address="127.0.0.2") as alex:
        answers = await asyncio.gather(
            *(
                guesser.post(
                    "/desk/sign-in",
                    {"email": email, "password": f"guess {number}"},
                    headers={"X-Forwarded-For": f"192.0.2.{number}"},  # which anybody can write
                )
                for number in range(60)
            )
        )
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) == {401, 429}
        assert statuses.count(401) <= 10
        refused = await guesser.sign_in(email)
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 4
        assert (await guesser.sign_in("other@example.com")).status_code == 401
        assert (await alex.sign_in(email)).status_code == 303  # from elsewhere, with the password
        light_service.clock.forward(seconds=4)
        assert (await guesser.sign_in(email)).status_code == 303


async def test_who_guesses_behind_the_same_proxy_keeps_no_agent_out(light_service: Service) -> None:
    """All have the address of the proxy; only the cookie of the earlier sign-in tells them apart."""
    email = await hire(light_service, Role.AGENT)
    async with visitor(light_service) as alex, visitor(light_service) as guesser, visitor(light_service) as ben:
        assert (await alex.sign_in(email)).status_code == 303
        await alex.send("/desk/sign-out")
        guesses = [await guesser.sign_in(email, "guess") for _ in range(12)]
        assert guesses[-1].status_code == 429
        assert (await alex.sign_in(email, "mistyped")).status_code == 401
        assert (await alex.sign_in(email)).status_code == 303
        assert (await ben.sign_in(email)).status_code == 429  # a browser that nobody knows


async def test_a_known_browser_may_not_guess_for_ever(light_service: Service) -> None:
    email = await hire(light_service, Role.AGENT)
    async with visitor(light_service) as alex:
        assert (await alex.sign_in(email)).status_code == 303
        statuses = [(await alex.sign_in(email, "guess")).status_code for _ in range(6)]
        assert statuses == [401, 401, 401, 401, 429, 429]


async def test_the_cookie_of_a_browser(light_service: Service) -> None:
    first, second = await hire(light_service, Role.AGENT), await hire(light_service, Role.ADMIN)
    async with visitor(light_service) as alex, visitor(light_service) as eve:
        entered = await alex.sign_in(first)
        _, _, rest = read_cookie(entered, COOKIE).partition("=")
        value, *parts = (part.strip() for part in rest.split(";"))
        assert {part for part in parts if not part.startswith("Expires")} == {
            "HttpOnly", f"Max-Age={180 * 86400}", "Path=/desk/sign-in", "SameSite=Lax",
        }  # fmt: skip
        assert first not in value
        await alex.sign_in(second)
        both = alex.http.cookies[COOKIE]
        assert both.split(".")[0] == value.split(".")[0]
        assert len(both.split(".")) == 3
        await lock_out(eve, first)
        made_up = f"{'0' * 32}.{'0' * 32}"
        for cookie, status in {"": 429, "x": 429, made_up: 429, value[:-1]: 429, "\u00e9": 429, value: 401}.items():
            headers = {"Cookie": f"{COOKIE}={cookie}".encode()}
            form = {"email": first, "password": "guess"}
            assert (await eve.post("/desk/sign-in", form, headers=headers)).status_code == status, cookie


def find_services(service: Service) -> Services:
    found: Services = service.app.extensions[api.services.EXTENSION]
    return found


async def lock_out(guesser: Visitor, email: str) -> None:
    while (await guesser.sign_in(email, "guess")).status_code != 429:
        pass


async def test_known_places_have_places_of_their_own(service: Service) -> None:
    """Before the passwords are checked strangers of many networks wait in one queue, agents in another."""
    email, services = await hire(service, Role.AGENT), find_services(service)
    async with visitor(service, Role.AGENT, address="127.0.0.7") as alex, visitor(service, address="127.0.0.7") as new:
        await services.deferred.flush()
        assert len(await service.rows("SELECT digest FROM sign_in_network")) == 1
        await alex.sign_in(email)  # once more from there
        await services.deferred.flush()
        assert len(await service.rows("SELECT digest FROM sign_in_network")) == 1
        desk: DeskServices = service.app.extensions[EXTENSION]
        slow = hash_password(PASSWORD)
        crowd = [asyncio.create_task(desk.passwords.is_right(slow, "guess")) for _ in range(MAX_WAITING_CHECKS)]
        await asyncio.sleep(0)
        with pytest.raises(TooManyChecks):
            await desk.passwords.is_right(slow, "guess")
        assert (await new.sign_in(email)).status_code == 303  # another browser in a network that is known
        assert not crowd[-1].done()
        await asyncio.gather(*crowd)


async def test_many_at_once_hold_nothing_else_up(migrated_sqlite_url: str, redis_url: str) -> None:
    proxies = [ip_network("127.0.0.1")]
    async with serve_api(migrated_sqlite_url, redis_url, trusted_proxies=proxies) as service, visitor(service) as crowd:
        tries = [
            asyncio.create_task(
                crowd.post(
                    "/desk/sign-in",
                    {"email": f"{number}@example.com", "password": "x"},
                    headers={"X-Forwarded-For": f"10.{number}.0.1, 192.0.2.{number}"},
                )
            )
            for number in range(50)
        ]
        waits = []
        began = time.perf_counter()
        while not all(each.done() for each in tries):
            before = time.perf_counter()
            assert (await service.call("GET", "/healthz")).status_code == 200
            waits.append(time.perf_counter() - before)
        crowd_seconds = time.perf_counter() - began
        statuses = {(await each).status_code for each in tries}
        assert statistics.median(waits) < crowd_seconds / 10
        assert statuses == {401, 503}


async def test_https_in_front(migrated_sqlite_url: str, redis_url: str) -> None:
    async with serve_api(migrated_sqlite_url, redis_url, public_url="https://desk.example.com") as service:
        email = await hire(service, Role.AGENT)
        async with visitor(service) as alex:
            form = {"email": email, "password": PASSWORD}
            entered = await alex.post("/desk/sign-in", form, origin="https://desk.example.com")
            cookie = read_cookie(entered)
            assert cookie.startswith("__Host-tick=")
            assert {part.strip() for part in cookie.split(";")[1:]} == {"HttpOnly", "Path=/", "SameSite=Lax", "Secure"}
            page = await alex.get("/desk", headers={"Cookie": cookie.partition(";")[0]})
            assert page.status_code == 200


@pytest.mark.parametrize(
    ("trusted", "schemes", "is_secure"),
    [
        ("127.0.0.0/8", ["https"], True),
        ("127.0.0.0/8", ["http, https"], True),
        ("127.0.0.0/8", ["https, http"], False),
        ("127.0.0.0/8", ["https", "http"], False),
        ("127.0.0.0/8", [], False),
        ("10.0.0.0/8", ["https"], False),
    ],
)
async def test_https_in_front_as_a_trusted_proxy_says(
    migrated_sqlite_url: str, redis_url: str, trusted: str, schemes: list[str], is_secure: bool
) -> None:
    proxies = [ip_network(trusted)]
    async with (
        serve_api(migrated_sqlite_url, redis_url, trusted_proxies=proxies) as service,
        visitor(service) as alex,
    ):
        form = {"email": await hire(service, Role.AGENT), "password": PASSWORD}
        headers = [("X-Forwarded-Proto", each) for each in schemes]
        entered = await alex.http.post(
            "/desk/sign-in", data=form, headers=[*headers, ("Origin", str(alex.http.base_url).rstrip("/"))]
        )
        assert entered.status_code == 303
        assert ("Secure" in read_cookie(entered)) == is_secure


async def test_the_hash_is_renewed_at_a_sign_in(service: Service) -> None:
    async with visitor(service, Role.AGENT) as alex:
        [[renewed]] = await service.rows("SELECT password_hash FROM agent")
        assert renewed != CHEAP_HASH
        assert renewed.startswith("$argon2id$")
        await alex.sign_in("agent@example.com")
        assert [tuple(row) for row in await service.rows("SELECT password_hash FROM agent")] == [(renewed,)]


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/desk", True), ("/desk/tickets/5", True), ("/desk?status=new&page=2", True), ("", False), ("/", False),
        ("//evil.example", False), ("/\\evil.example", False), ("https://evil.example/desk", False),
        ("javascript:alert(1)", False), ("/desk/../../evil", False), ("/desk\n//evil.example", False),
        ("/desk/whatsapp", True), ("/desk/whatsapp/doctor", True), ("/desk/whatsapp/try-now", False),
        ("/desk/sign-out", False), ("/deskevil", False), ("/desk@evil.example", False), ("/desk?next=//evil", False),
    ],
)  # fmt: skip
def test_where_a_sign_in_leads(path: str, kept: bool) -> None:
    assert keep_desk_path(path) == (path if kept else "/desk")


async def test_a_sign_in_leads_to_where_one_wanted_to_go(light_service: Service) -> None:
    email = await hire(light_service, Role.AGENT)
    async with visitor(light_service) as alex:
        sent = await alex.get("/desk?status=new&page=2")
        assert sent.headers["location"] == "/desk/sign-in?next=%2Fdesk%3Fstatus%3Dnew%26page%3D2"
        assert 'value="/desk?status=new&amp;page=2"' in (await alex.get(sent.headers["location"])).text
        assert 'value="/desk"' in (await alex.get("/desk/sign-in?next=//evil.example")).text
        entered = await alex.sign_in(email, next="//evil.example")
        assert entered.headers["location"] == "/desk"
        assert (await alex.sign_in(email, next="/desk/tickets/5")).headers["location"] == "/desk/tickets/5"


async def test_a_sign_in_from_another_page(light_service: Service) -> None:
    email = await hire(light_service, Role.AGENT)
    form = {"email": email, "password": PASSWORD}
    async with visitor(light_service) as alex:
        for origin in ("https://evil.example", "null", f"http://127.0.0.1:{light_service.port}.evil.example", None):
            refused = await alex.post("/desk/sign-in", form, origin=origin)
            assert refused.status_code == 403
        assert await light_service.rows("SELECT digest FROM desk_session") == []


@pytest.mark.parametrize("trusted", ["10.0.0.0/8", "127.0.0.0/8"])
async def test_a_proxy_that_nobody_declared_is_told_of_once(
    migrated_sqlite_url: str, redis_url: str, trusted: str
) -> None:
    forwarded = {"X-Forwarded-For": "198.51.100.7"}
    async with serve_api(migrated_sqlite_url, redis_url, trusted_proxies=[ip_network(trusted)]) as service:
        email, services = await hire(service, Role.AGENT), find_services(service)
        async with visitor(service) as stranger, visitor(service) as alex:
            await stranger.post("/desk/sign-in", {"email": email, "password": "guess"}, headers=forwarded)
            await services.deferred.flush()
            assert await service.rows("SELECT subject FROM alert") == []  # anybody can write that header
            for _ in range(2):
                form = {"email": email, "password": PASSWORD}
                assert (await alex.post("/desk/sign-in", form, headers=forwarded)).status_code == 303
                await services.deferred.flush()
        told = await service.rows("SELECT subject, severity, message FROM alert WHERE cleared_at IS NULL")
        assert [(row[0], row[1]) for row in told] == ([] if trusted[:3] == "127" else [("proxy:undeclared", "yellow")])
        assert all("Set TRUSTED_PROXIES=127.0.0.1," in row[2] for row in told)
        services.undeclared_proxies.begin()  # as the next start does
        await services.deferred.flush()
        assert await service.rows("SELECT subject FROM alert WHERE cleared_at IS NULL") == []

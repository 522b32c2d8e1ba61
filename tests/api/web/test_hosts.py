"""Which hosts are answered once PUBLIC_URL is set, and who is told to keep to https."""

from collections.abc import AsyncIterator

import pytest

from api.web.hosts import HSTS, read_host
from tests.api.rest_service import Service, serve_api

PUBLIC = "https://desk.example.com"


@pytest.fixture
async def service(migrated_sqlite_url: str, redis_url: str) -> AsyncIterator[Service]:
    async with serve_api(
        migrated_sqlite_url, redis_url, public_url=PUBLIC, allowed_hosts=["desk.internal", "[2001:db8::1]"]
    ) as running:
        yield running


async def test_other_hosts_are_refused(service: Service) -> None:
    for host, is_ours in {
        "desk.example.com": True,
        "DESK.example.com:8443": True,
        "desk.example.com.": True,
        "desk.internal": True,
        "[2001:db8::1]:5000": True,
        "localhost:5000": True,
        "127.0.0.1": True,
        "127.9.9.9:1": True,
        "[::1]:5000": True,
        "evil.example": False,
        "desk.example.com.evil.example": False,
        "203.0.113.9": False,
    }.items():
        for path, status in (("/api/tickets", 200), ("/desk/sign-in", 200), ("/desk", 303), ("/nothing", 404)):
            response = await service.call("GET", path, headers={"Host": host})
            assert response.status_code == (status if is_ours else 421), (host, path)
    for host in (
        "evil.example:desk.example.com",
        "evil.example@desk.example.com",
        "desk.example.com/evil.example",
        "[",
    ):
        for path in ("/api/tickets", "/desk/sign-in", "/healthz"):
            response = await service.call("GET", path, headers={"Host": host})
            assert response.status_code == 400, (host, path)


async def test_machines_may_ask_by_any_name(service: Service) -> None:
    for path in ("/healthz", "/metrics"):
        response = await service.call("GET", path, role=None, headers={"Host": "10.1.2.3:5000"})
        assert response.status_code == 200
        assert "strict-transport-security" not in response.headers


async def test_a_refusal_says_what_to_do(service: Service) -> None:
    refusal = await service.expect_refusal(421, "GET", "/desk", headers={"Host": "evil.example"})
    assert "ALLOWED_HOSTS" in refusal["message"]
    assert "desk.example.com" not in refusal["message"]  # for whoever finds an address of ours learns no more from it


async def test_browsers_are_told_to_keep_to_https(service: Service) -> None:
    for host, is_told in {"desk.example.com": True, "desk.example.com.": True, "desk.internal": False}.items():
        response = await service.call("GET", "/desk/sign-in", headers={"Host": host})
        assert response.headers.get("strict-transport-security") == (HSTS if is_told else None), host


async def test_without_a_public_url_any_host_is_answered(light_service: Service) -> None:
    response = await light_service.call("GET", "/desk/sign-in", headers={"Host": "evil.example"})
    assert (response.status_code, "strict-transport-security" in response.headers) == (200, False)


@pytest.mark.parametrize(
    ("headers", "host"),
    [(["A.example:80"], "a.example"), (["[::1]:80"], "::1"), ([], ""), (["a", "a"], ""), (["[::1"], ""), ([""], "")],
)
def test_the_host_of_a_request(headers: list[str], host: str) -> None:
    assert read_host(headers) == host

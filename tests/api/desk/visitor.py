"""Somebody at the desk with a browser, as far as HTTP tells: a cookie jar, and the Origin that browsers send."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from argon2 import PasswordHasher

from api.web.credentials import Role
from storage.sql.columns import to_millis
from tests.api.rest_service import Service
from tests.support.plain_http import NO_AUTHORITIES, plain_http

PASSWORD = "correct horse battery"
# What an agent's first sign-in would upgrade: cheap to make here, and of the same kind.
CHEAP_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
TOKEN = re.compile(r'name="csrf_token" value="([0-9a-f]{64})"')


class Visitor:
    """One browser."""

    def __init__(self, http: httpx.AsyncClient, origin: str) -> None:
        self.http = http
        self._origin = origin

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.http.get(path, **more)

    async def post(self, path: str, form: dict[str, str], *, origin: str | None = "", **more: Any) -> httpx.Response:
        """Sends a form; `origin` "" is the page's own, None is none."""
        headers = {} if origin is None else {"Origin": origin or self._origin}
        return await self.http.post(path, data=form, headers=headers | more.pop("headers", {}), **more)

    async def sign_in(self, email: str, password: str = PASSWORD, **form: str) -> httpx.Response:
        return await self.post("/desk/sign-in", {"email": email, "password": password, **form})

    async def token(self) -> str:
        """The token in this session's forms."""
        found = TOKEN.search((await self.get("/desk")).text)
        assert found
        return found[1]

    async def send(self, path: str, *, files: Sequence[Any] = (), **form: str) -> httpx.Response:
        """Sends a form of this session, with (field, (name, bytes, type)) for each file."""
        return await self.post(path, {"csrf_token": await self.token(), **form}, files=files or None)


@asynccontextmanager
async def visitor(service: Service, role: Role | None = None, *, address: str = "127.0.0.1") -> AsyncIterator[Visitor]:
    """A browser at this address of the loopback network; with a role, its user is signed in."""
    origin = f"http://127.0.0.1:{service.port}"
    transport = httpx.AsyncHTTPTransport(local_address=address, verify=NO_AUTHORITIES)
    async with plain_http(origin, transport=transport, timeout=30) as http:
        browser = Visitor(http, origin)
        if role is not None:
            email = await hire(service, role)
            assert (await browser.sign_in(email)).status_code == 303
        yield browser


async def hire(service: Service, role: Role, email: str = "", password_hash: str = CHEAP_HASH) -> str:
    """An agent of this role; returns the address."""
    email = email or f"{role}@example.com"
    if not await service.rows("SELECT id FROM agent WHERE email = ?", [email]):
        row = (
            service.resources.ids.next(),
            email,
            f"Alex {role}",
            role.value,
            password_hash,
            to_millis(service.clock.now),
        )
        async with service.resources.database.transaction() as tx:
            await tx.insert("agent", ("id", "email", "name", "role", "password_hash", "created_at"), [row])
    return email

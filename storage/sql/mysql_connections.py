"""Opens connections to MySQL and MariaDB, and pools them: aiomysql's own, but for what it leaves to chance.

Invariants
- What is to be encrypted is never sent in the clear. aiomysql goes on without a word where the server offers no
  encryption, and a stranger in between can make it look so.
- Whatever goes wrong while connecting is a CannotConnect, which tells nobody the password.
- A connection that did not come about leaves no socket behind.
"""

import asyncio
import ssl
import struct
from typing import Any

import aiomysql
from aiomysql.connection import MAX_PACKET_LEN
from pymysql.charset import charset_by_name
from pymysql.constants import CLIENT

from storage.errors import WrongDatabase
from storage.sql.driver_errors import CannotConnect


class Connection(aiomysql.Connection):  # type: ignore[misc]  # aiomysql has no types
    """A connection that is encrypted when it is given a TLS context, or is none."""

    _ssl_context: ssl.SSLContext | None
    _reader: Any
    _writer: Any

    async def _connect(self) -> None:
        try:
            await super()._connect()
        except BaseException as error:
            if self._writer is not None:
                self._writer.transport.abort()
                self._writer = self._reader = None
            if isinstance(error, Exception):
                raise CannotConnect("no connection to the database") from error
            raise

    async def _request_authentication(self) -> None:
        context = self._ssl_context
        if context is not None:
            await self._start_tls(context)
        self._ssl_context = None  # it is encrypted by now: aiomysql is not to do so again
        try:
            await super()._request_authentication()
        finally:
            self._ssl_context = context

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        """Encrypts the connection, before anything of ours is on it but the wish to."""
        if not self.server_capabilities & CLIENT.SSL:
            raise WrongDatabase(
                "The database server offers no encryption, and DATABASE_URL asks for it: set the server's ssl_cert and "
                "ssl_key, or leave ssl out of DATABASE_URL."
            )
        charset_id = charset_by_name(self.charset).id
        self.write_packet(struct.pack("<iIB23s", self.client_flag, MAX_PACKET_LEN, charset_id, b""))
        await self._writer.start_tls(context, server_hostname=self._host)
        self._reader._transport = self._writer.transport  # or a full buffer would pause the plain one under it
        self._secure = True


async def connect(**arguments: Any) -> Connection:
    """Opens one connection. Raises CannotConnect."""
    connection = Connection(**arguments)
    await connection._connect()
    return connection


class Pool(aiomysql.Pool):  # type: ignore[misc]
    """A pool of these connections. It opens them as they are needed."""

    async def _fill_free_pool(self, override_min: bool) -> None:
        for free in list(self._free):
            if free._reader.at_eof() or free._reader.exception() or free._reader.eof_received:
                self._free.remove(free)
                free.close()
        while self.size < self.minsize or (override_min and not self._free and self.size < self.maxsize):
            self._acquiring += 1
            try:
                self._free.append(await connect(**self._conn_kwargs))
                self._cond.notify()
            finally:
                self._acquiring -= 1


def make_pool(*, minsize: int, maxsize: int, **arguments: Any) -> Pool:
    """Makes a pool, which opens nothing yet. `arguments`: what `connect` takes."""
    loop = asyncio.get_running_loop()
    return Pool(minsize=minsize, maxsize=maxsize, echo=False, pool_recycle=-1, loop=loop, **arguments)

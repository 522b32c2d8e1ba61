"""Lists who may come in, agents and API keys, and takes that away, from the command line.

Invariants
- Each change is one transaction, with its line in the audit, and holds at once in every process: keys and sessions are
  looked up at each request.
- The last admin who may sign in stays one, so nobody locks everybody out of what only admins may do.
- To ask for what is so already changes nothing and is no error.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta

from api.admin import ACTOR, CommandRefused, check_password
from api.web.credentials import KEY_PREFIX, SHOWN_KEY_CHARACTERS, Role, hash_password
from bot.ids import IdMaker
from storage import agents, api_keys, audit
from storage.agents import ListedAgent
from storage.api_keys import ListedKey
from storage.audit import AuditLine
from storage.sql.database import Database, Tx
from storage.statuses import AuditAction

MAX_KEY_DAYS = 3650  # what is to be good for longer than ten years needs no end
_DAYS = re.compile(r"[0-9]{1,5}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_KEY_ID = re.compile(r"[0-9]{1,19}")


class WrongExpiry(CommandRefused):
    """Nothing can be made of an expiry as it was typed. The text is one sentence."""

    exit_code = 2


async def list_keys(database: Database) -> list[ListedKey]:
    """Lists every key that was ever made, the oldest first."""
    async with database.reading() as tx:
        return await api_keys.list_keys(tx)


def read_expiry(text: str, now: datetime) -> datetime:
    """Reads until when a key is good: a number of days from now, or the last day, whole, in UTC. Raises
    WrongExpiry."""
    if _DAYS.fullmatch(text):
        if not 1 <= int(text) <= MAX_KEY_DAYS:
            raise WrongExpiry(
                f"A key can be good for 1 to {MAX_KEY_DAYS} days; leave --expires out for one that stays good."
            )
        return now + timedelta(days=int(text))
    try:
        last_day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
        end = None if last_day is None else datetime.combine(last_day + timedelta(days=1), time(), UTC)
    except (ValueError, OverflowError):
        end = None
    if end is None:
        raise WrongExpiry(f"--expires is a number of days, such as 90, or the last day, such as {now.year + 1}-01-31.")
    if end <= now:
        raise WrongExpiry(f"{text} is over: the key would be no good from the start.")
    return end


async def revoke_key(database: Database, wanted: str, now: datetime) -> tuple[ListedKey, bool]:
    """Revokes a key, named by its id, by how it begins, or by its name where one key alone has it. Returns the key, and
    False where it was revoked already. Raises CommandRefused."""
    if wanted.startswith(KEY_PREFIX) and len(wanted) > SHOWN_KEY_CHARACTERS:
        raise CommandRefused(
            "A whole key does not belong on a command line, where others can read it: its id will do, or its first "
            f"{SHOWN_KEY_CHARACTERS} characters. `tick key list` has both."
        )
    key = _choose_key(await list_keys(database), wanted)
    line = AuditLine(IdMaker(lambda: now).next(), now, ACTOR, AuditAction.KEY_REVOKE, key.key_id, key.name)
    return key, await _change(database, line, lambda tx: api_keys.revoke(tx, key.key_id, now))


def _choose_key(keys: Sequence[ListedKey], wanted: str) -> ListedKey:
    if _KEY_ID.fullmatch(wanted):
        found = [key for key in keys if key.key_id == int(wanted)]
    else:
        found = [key for key in keys if wanted in (key.name, key.prefix)]
        found = [key for key in found if key.revoked_at is None] or found[-1:]
    if not found:
        raise CommandRefused(f"There is no key {wanted!r}: `tick key list` has them all.")
    if len(found) > 1:
        ids = ", ".join(str(key.key_id) for key in found)
        raise CommandRefused(f"There are {len(found)} keys {wanted!r}: say which one by its id, {ids}.")
    return found[0]


async def list_agents(database: Database, now: datetime) -> list[ListedAgent]:
    """Lists every agent, the disabled ones too."""
    async with database.reading() as tx:
        return await agents.list_agents(tx, now)


async def disable_agent(database: Database, email: str, now: datetime) -> bool:
    """Locks an agent out, and signs them out everywhere; returns False where that was so. Raises CommandRefused."""
    agent = await _find_agent(database, email, now)

    async def disable(tx: Tx) -> bool:
        _keep_an_admin(await agents.lock_admins(tx), agent, "be disabled")
        return await agents.disable(tx, agent.agent_id, now)

    return await _change(database, _make_line(agent, AuditAction.AGENT_DISABLE, now), disable)


async def enable_agent(database: Database, email: str, now: datetime) -> bool:
    """Lets a disabled agent sign in again, with the password that they had; returns False where they may already.
    Raises CommandRefused."""
    agent = await _find_agent(database, email, now)
    line = _make_line(agent, AuditAction.AGENT_ENABLE, now)
    return await _change(database, line, lambda tx: agents.enable(tx, agent.agent_id))


async def set_role(database: Database, email: str, role: Role, now: datetime) -> bool:
    """Gives an agent another role, from their next request on; returns False where it is theirs. Raises
    CommandRefused."""
    agent = await _find_agent(database, email, now)

    async def change(tx: Tx) -> bool:
        admins = await agents.lock_admins(tx)
        if role is not Role.ADMIN:
            _keep_an_admin(admins, agent, "get another role")
        return await agents.set_role(tx, agent.agent_id, role)

    line = _make_line(agent, AuditAction.AGENT_ROLE, now, f"{agent.role} -> {role}")
    return await _change(database, line, change)


async def set_password(database: Database, email: str, password: str, now: datetime) -> None:
    """Sets another password of an agent's, and signs them out everywhere. Raises CommandRefused."""
    agent = await _find_agent(database, email, now)
    check_password(password)
    password_hash = hash_password(password)

    async def change(tx: Tx) -> bool:
        await agents.set_password_hash(tx, agent.agent_id, password_hash)
        return True

    await _change(database, _make_line(agent, AuditAction.AGENT_PASSWORD, now), change)


async def sign_out_everywhere(database: Database, email: str, now: datetime) -> int:
    """Ends every sign-in of an agent; returns how many there were. Raises CommandRefused."""
    agent = await _find_agent(database, email, now)

    async def end(tx: Tx) -> bool:
        return bool(await agents.end_all_sessions(tx, agent.agent_id))

    line = _make_line(agent, AuditAction.AGENT_SIGN_OUT_EVERYWHERE, now)
    return agent.open_sessions if await _change(database, line, end) else 0


async def _change(database: Database, line: AuditLine, change: Callable[[Tx], Awaitable[bool]]) -> bool:
    """Runs `change` with its line in the audit; returns, and writes, whether it changed anything."""

    async def write(tx: Tx) -> bool:
        if await audit.is_committed(tx, line.audit_id):
            return True
        is_changed = await change(tx)
        if is_changed:
            await audit.write(tx, line)
        return is_changed

    return await database.run(write)


async def _find_agent(database: Database, email: str, now: datetime) -> ListedAgent:
    email = email.strip().lower()
    for agent in await list_agents(database, now):
        if agent.email == email:
            return agent
    raise CommandRefused(f"There is no agent {email!r}: `tick agent list` has them all.")


def _keep_an_admin(admins: Sequence[int], agent: ListedAgent, what: str) -> None:
    """Raises CommandRefused where this agent is the only admin who may sign in."""
    if list(admins) == [agent.agent_id]:
        raise CommandRefused(
            f"{agent.email} is the last admin, and can't {what}: nobody could manage this desk. "
            "Make somebody else an admin first (tick agent role EMAIL admin)."
        )


def _make_line(agent: ListedAgent, action: AuditAction, now: datetime, detail: str = "") -> AuditLine:
    line = f"{agent.email} {detail}".strip()
    return AuditLine(IdMaker(lambda: now).next(), now, ACTOR, action, agent.agent_id, line)

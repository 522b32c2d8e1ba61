"""Measures what strangers can take from a running Tick: memory by bodies, connections by silence, the loop by members.

`python -m tests.system.strain` starts `tick serve` in a folder of its own, and prints a line for each figure; names of
rounds as arguments choose among them. Everything stays on loopback: strangers come from 127.9.0.2, webhooks from
127.0.0.1. It takes a minute.

Invariants
- A round has a deadline, and whatever it has opened is closed at its end.
"""

import asyncio
import json
import resource
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from api.bench.programs import (
    Program,
    build_environment,
    build_python_command,
    find_free_port,
    run_command,
    run_program,
)
from api.bench.wire import Client, ConnectionBroken
from api.simulator import bodies, message_bodies
from api.simulator.bodies import BusinessNumber, Person
from api.simulator.message_bodies import MessageHead

NUMBER = BusinessNumber("106540352242922", "15550783881", "102290129340398")
SECRET = "0123456789abcdef0123456789abcdef"
STRANGER = "127.9.0.2"
WEBHOOK = "/api/whatsapp/webhook"
BODIES, BODY_BYTES = 100, 3_900_000
SILENT, SILENT_SECONDS = 2_000, 10.0
MEMBERS, FEWER_MEMBERS = 380_000, 25_000  # 4 MB, and what JSON may have
ROUND_SECONDS = 60.0


class Tick:
    """A running Tick, with a key to its API."""

    def __init__(self, program: Program, port: int, key: str) -> None:
        self.program = program
        self.port = port
        self.key = key


@asynccontextmanager
async def run_tick() -> AsyncIterator[Tick]:
    """Runs `tick serve` on SQLite until the block ends."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), find_free_port()
        environment = build_environment(
            WHATSAPP_API_URL="http://127.0.0.1:9/v25.0",
            WHATSAPP_PHONE_NUMBER_ID=NUMBER.phone_number_id,
            WHATSAPP_ACCESS_TOKEN="EAAstrain",
            WHATSAPP_VERIFY_TOKEN="strain-verify-token",
            WHATSAPP_APP_SECRET=SECRET,
            PORT=str(port),
            LOG_LEVEL="error",
        )
        out = await run_command(
            build_python_command("api", "key", "create", "strain", "--role", "agent"), folder=folder, env=environment
        )
        argv = build_python_command("api", "serve")
        async with run_program("tick", argv, folder=folder, env=environment) as program:
            await program.wait_until_ready(f"http://127.0.0.1:{port}", "/readyz")
            yield Tick(program, port, out.strip().splitlines()[-1])


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connects as a stranger."""
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(STRANGER, 0))


async def post_webhook(port: int, number: int) -> float:
    """Posts one webhook on a connection of its own; returns the seconds to its 200."""
    body = bodies.build_messages_webhook(
        NUMBER,
        [Person("Ann", "15550001111")],
        [message_bodies.text(MessageHead(Person("Ann", "15550001111"), f"wamid.{number}", int(time.time())), "hello")],
    )
    client = Client(f"http://127.0.0.1:{port}")
    began = time.perf_counter()
    try:
        answer = await client.ask(
            "POST", WEBHOOK, body, f"X-Hub-Signature-256: {bodies.sign(body, SECRET)}\r\n".encode()
        )
    finally:
        client.close()
    if answer.status != 200:
        raise ConnectionBroken(f"answered {answer.status}")
    return time.perf_counter() - began


async def measure_bodies(tick: Tick, *headers: str) -> None:
    """What bodies cost that never end and that nobody has signed."""
    before = most = tick.program.read_resident_mib()
    head = [f"POST {WEBHOOK} HTTP/1.1", "Host: tick", f"Content-Length: {BODY_BYTES}", *headers, "", ""]

    async def send() -> None:
        try:
            _, writer = await connect(tick.port)
            writer.write("\r\n".join(head).encode())
            for _ in range(BODY_BYTES // 65536):
                writer.write(b"x" * 65536)
                await writer.drain()
            await asyncio.sleep(3)
            writer.close()
        except OSError:
            pass  # refused, or cut off

    sending = asyncio.gather(*(send() for _ in range(BODIES)))
    waits: list[float] = []
    number = time.monotonic_ns()
    while not sending.done():
        waits.append(await post_webhook(tick.port, number + len(waits)))
        most = max(most, tick.program.read_resident_mib())
        await asyncio.sleep(0.05)
    await sending
    what = "with a made-up signature" if headers else "without a signature"
    print(f"{BODIES} bodies of {BODY_BYTES} bytes {what}: {most - before:.0f} MiB; webhooks {describe(waits)}")


async def measure_silence(tick: Tick, prelude: bytes = b"") -> None:
    """What connections cost on which nothing, or only `prelude`, is ever sent."""
    before = tick.program.read_resident_mib()
    opened: list[socket.socket] = []

    def open_all() -> None:
        for _ in range(SILENT):
            one = socket.socket()
            opened.append(one)
            try:
                one.bind((STRANGER, 0))
                one.settimeout(SILENT_SECONDS)
                one.connect(("127.0.0.1", tick.port))
                one.sendall(prelude)
            except OSError:
                pass  # refused, or cut off

    opening = asyncio.create_task(asyncio.to_thread(open_all))
    waits: list[float] = []
    number, until = time.monotonic_ns(), time.monotonic() + SILENT_SECONDS
    while time.monotonic() < until:
        waits.append(await post_webhook(tick.port, number + len(waits)))
        await asyncio.sleep(0.05)
    most = tick.program.read_resident_mib()
    await opening
    for one in opened:
        one.close()
    what = f"that send {prelude!r}" if prelude else "that say nothing"
    print(f"{SILENT} connections {what}: {most - before:.0f} MiB; webhooks {describe(waits)}")


async def measure_members(tick: Tick, members: int) -> None:
    """How long the loop stands still for one request with this many members that nobody knows."""
    body = json.dumps({f"{number:x}": 0 for number in range(members)}, separators=(",", ":")).encode()
    agent, watcher = Client(f"http://127.0.0.1:{tick.port}"), Client(f"http://127.0.0.1:{tick.port}")
    asking = asyncio.create_task(
        agent.ask("POST", "/api/tickets", body, f"Authorization: Bearer {tick.key}\r\n".encode(), timeout_seconds=40)
    )
    waits: list[float] = []
    while not asking.done():
        began = time.perf_counter()
        await watcher.ask("GET", "/healthz")
        waits.append(time.perf_counter() - began)
        await asyncio.sleep(0.005)
    try:
        status = str((await asking).status)
    except (OSError, ConnectionBroken) as error:
        status = type(error).__name__
    agent.close()
    watcher.close()
    print(f"{members} unknown members in {len(body)} bytes: {status}; /healthz {describe(waits)}")


def describe(waits: list[float]) -> str:
    """Puts waits into words."""
    ordered = sorted(waits)
    return f"median {ordered[len(ordered) // 2] * 1000:.0f} ms, at most {ordered[-1] * 1000:.0f} ms ({len(ordered)})"


async def measure_peace(tick: Tick) -> None:
    """How long webhooks take while nobody does anything else."""
    waits = []
    for number in range(100):
        waits.append(await post_webhook(tick.port, time.monotonic_ns() + number))
        await asyncio.sleep(0.05)
    print(f"in peace: webhooks {describe(waits)}")


ROUNDS: dict[str, Callable[[Tick], Awaitable[None]]] = {
    "peace": measure_peace,
    "forged": lambda tick: measure_bodies(tick, f"X-Hub-Signature-256: sha256={'0' * 64}"),
    "unsigned": measure_bodies,
    "silent": measure_silence,
    "stalled": lambda tick: measure_silence(tick, b"POST / HTTP/1.1\r\n"),
    "members": lambda tick: measure_members(tick, MEMBERS),
    "fewer-members": lambda tick: measure_members(tick, FEWER_MEMBERS),
}


async def main(names: Sequence[str]) -> None:
    """Measures the rounds of these names, each in a Tick of its own."""
    for name in names:
        async with run_tick() as tick, asyncio.timeout(ROUND_SECONDS):
            await ROUNDS[name](tick)


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * SILENT:
        sys.exit(f"This needs {2 * SILENT} open files, and the limit is {hard}.")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * SILENT), hard))
    asyncio.run(main(sys.argv[1:] or list(ROUNDS)))

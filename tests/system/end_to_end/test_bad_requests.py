"""Bad inputs at the webhook's door, each named after its number in the catalogue: what is refused leaves no trace, what
is signed is taken in, and the process goes on.
"""

import asyncio
import gzip
import json
import os
import resource
import sys
import time
from itertools import repeat
from pathlib import Path
from urllib.parse import urlencode

import pytest

from api.simulator import bodies
from api.webhook import MAX_BODY_BYTES
from tests.support.places import ROOT
from tests.system.end_to_end.conftest import Variant
from tests.system.end_to_end.raw_http import ask, build_head, build_length, build_signature, parse_status
from tests.system.end_to_end.tick import ANN, NUMBER, SECRET, VERIFY_TOKEN, WEBHOOK, Tick

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIGNATURES = ROOT / "tests" / "payloads" / "signatures"
RAW = {path.stem: path.read_bytes() for path in SIGNATURES.glob("*.raw")}
SIGNED = json.loads((SIGNATURES / "signatures.json").read_text("utf-8"))["valid"]
HANDSHAKE_REFUSED = b'{"success": false, "message": "Webhook verification failed"}'


@pytest.fixture(scope="module", params=[Variant("sqlite", "instant")], ids="-".join)
def variant(request: pytest.FixtureRequest) -> Variant:
    chosen: Variant = request.param
    return chosen


def build_hello(tick: Tick, text: str = "hello") -> bytes:
    return bodies.build_messages_webhook(NUMBER, [ANN], [tick.build_message(text)])


async def assert_refused(tick: Tick, *headers: bytes, body: bytes) -> None:
    """This request is answered 401, in the same words as any other, and nothing of it is kept."""
    answer = await ask(tick.port, build_head(*headers, build_length(body)), body)
    assert parse_status(answer) == 401
    assert answer.endswith(b'\r\n\r\n{"success": false, "message": "Invalid signature"}')
    assert await tick.read_items() == []


async def assert_alive(tick: Tick) -> None:
    """A good webhook is still taken in, and answered."""
    before = len(tick.graph.sends)
    await tick.write("hello")
    assert len(tick.graph.sends) == before + 1


async def count_webhooks(tick: Tick, status: int) -> float:
    lines = (await tick.http.get("/metrics")).text.splitlines()
    name = f'tick_webhooks_total{{status="{status}"}} '
    return float(next((line.removeprefix(name) for line in lines if line.startswith(name)), 0))


async def test_bad_input_01_no_signature(tick: Tick) -> None:
    before = await count_webhooks(tick, 401)
    await assert_refused(tick, body=build_hello(tick))
    assert await count_webhooks(tick, 401) == before + 1


@pytest.mark.parametrize(
    "shape",
    ["sha256=", "sha256={zeros}", "sha256={short}", "sha256={upper}", "sha1={good}", "{good}", "sha256= {good}",
     "SHA256={good}", "sha256={good}0", "sha256={good},sha256={good}"],
)  # fmt: skip
async def test_bad_input_02_a_signature_of_another_shape(tick: Tick, shape: str) -> None:
    body = build_hello(tick)
    good = bodies.sign(body, SECRET).removeprefix("sha256=")
    value = shape.format(good=good, upper=good.upper(), short=good[:-1], zeros="0" * 64)
    await assert_refused(tick, b"X-Hub-Signature-256: " + value.encode(), body=body)


async def test_bad_input_02_two_signature_headers(tick: Tick) -> None:
    body = build_hello(tick)
    wrong = b"X-Hub-Signature-256: sha256=" + b"0" * 64
    for headers in (
        (build_signature(body), wrong),
        (wrong, build_signature(body)),
        (build_signature(body),) * 2,
    ):
        await assert_refused(tick, *headers, body=body)


@pytest.mark.parametrize("value", ["sha256=é", "sha256=" + "é" * 64, "\xff", "sha256=" + "٠" * 64])
async def test_bad_input_03_a_signature_beyond_ascii(tick: Tick, value: str) -> None:
    await assert_refused(tick, b"X-Hub-Signature-256: " + value.encode("utf-8"), body=build_hello(tick))


async def test_bad_input_04_one_byte_changed(tick: Tick) -> None:
    body = build_hello(tick)
    for place in (0, len(body) // 2, len(body) - 1):
        changed = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        await assert_refused(tick, build_signature(body), body=changed)
    await assert_refused(tick, build_signature(body), body=body + b" ")


async def test_bad_input_05_only_the_raw_bytes_count(tick: Tick) -> None:
    escaped = build_hello(tick, "größer")
    plain = json.dumps(json.loads(escaped), ensure_ascii=False).encode()
    await assert_refused(tick, build_signature(escaped), body=plain)
    await assert_refused(tick, build_signature(plain), body=escaped)
    for body in (escaped, plain):
        await tick.deliver(body)
    assert await tick.read_items() == [["message", "done", ""]]
    assert await tick.tables.fetch_value("SELECT description FROM ticket") == "größer"
    for name, body in RAW.items():
        assert (await tick.post(body, X_Hub_Signature_256=SIGNED[name]["value"])).status == 200, name


@pytest.mark.parametrize("value", [None, ""])
async def test_bad_input_06_no_app_secret_no_start(tmp_path: Path, value: str | None) -> None:
    names = ("WHATSAPP_PHONE_NUMBER_ID", "WHATSAPP_ACCESS_TOKEN", "WHATSAPP_VERIFY_TOKEN")
    environment = dict(zip(names, (NUMBER.phone_number_id, "test-access-token", VERIFY_TOKEN), strict=True))
    if value is not None:
        environment["WHATSAPP_APP_SECRET"] = value
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api", "serve", cwd=tmp_path, stderr=asyncio.subprocess.STDOUT,
        stdout=asyncio.subprocess.PIPE, env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | environment,
    )  # fmt: skip
    answer, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode not in (None, 0)
    assert b"WHATSAPP_APP_SECRET" in answer
    assert b"Traceback" not in answer


@pytest.mark.parametrize("body", [b"", b" \n\t ", b"null", b"[]", b'"x"', b"123"])
async def test_bad_input_07_a_body_without_anything_in_it(tick: Tick, body: bytes) -> None:
    assert (await tick.post(body)).status == 200
    ((kind, fate, reason),) = await tick.read_items()
    assert (kind, fate) == ("other", "ignored")
    assert reason == ("not_json" if not body.strip() else "not_whatsapp")


async def test_bad_input_08_too_long_by_its_own_word(tick: Tick) -> None:
    async with asyncio.timeout(20):  # before a byte of it was read: none is sent
        answer = await ask(tick.port, build_head(b"Content-Length: %d" % (MAX_BODY_BYTES + 1)))
    assert parse_status(answer) == 413
    body = build_hello(tick)
    await tick.deliver(body + b" " * (MAX_BODY_BYTES - len(body)))  # as long as it may be
    assert await tick.read_items() == [["message", "done", ""]]


async def test_bad_input_09_a_hundred_megabytes_without_a_length(tick: Tick) -> None:
    await assert_alive(tick)
    chunk = b"%x\r\n" % 0x100000 + b"x" * 0x100000 + b"\r\n"
    taken: list[int] = []
    most = before = resident_bytes()

    def sent(size: int) -> None:
        nonlocal most
        taken.append(size)
        most = max(most, resident_bytes())

    answer = await ask(tick.port, build_head(b"Transfer-Encoding: chunked"), endless=repeat(chunk, 100), on_sent=sent)
    assert parse_status(answer) == 413
    assert sum(taken) < 50 * 0x100000
    assert most - before < 30 * 0x100000
    await assert_alive(tick)


def resident_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:  # no /proc: the most there ever was, which may only grow
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def test_bad_input_10_a_byte_a_second(tick: Tick) -> None:
    body = build_hello(tick)
    began = time.monotonic()
    answer = await ask(
        tick.port,
        build_head(build_signature(body), build_length(body)),
        endless=repeat(b"x", 60),
        every_seconds=1,
    )
    assert time.monotonic() - began < 45, "it is not heard out: that would take 60 seconds"
    assert parse_status(answer) in (0, 408)
    assert await tick.read_items() == []
    await assert_alive(tick)


DEEP = {"lists": b"[" * 100_000, "objects": b'{"a":' * 100_000, "whole lists": b"[" * 100_000 + b"]" * 100_000}


@pytest.mark.parametrize("name", DEEP)
async def test_bad_input_11_a_hundred_thousand_deep(tick: Tick, name: str) -> None:
    assert (await tick.post(DEEP[name])).status == 200
    assert [fate for _, fate, _ in await tick.read_items()] == ["ignored"]
    await assert_alive(tick)


@pytest.mark.parametrize("number", ["9" * 1_000_000, "-" + "9" * 1_000_000, "1e999999", "NaN", "Infinity", "-Infinity"])
async def test_bad_input_12_numbers_that_are_none(tick: Tick, number: str) -> None:
    assert (await tick.post(number.encode())).status == 200
    assert [fate for _, fate, _ in await tick.read_items()] == ["ignored"]
    await tick.tables.delete_all()
    body = json.dumps(json.loads(build_hello(tick)) | {"zzz": "NUMBER"}).replace('"NUMBER"', number).encode()
    await tick.deliver(body)
    # what is a number to JSON harms no neighbour; what is none makes the whole body something else
    fate = "ignored" if "a" in number or "I" in number else "done"
    assert [fate for _, fate, _ in await tick.read_items()] == [fate]


async def test_bad_input_13_keys_that_come_twice_and_keys_with_a_name(tick: Tick) -> None:
    message = tick.build_message("FIRST")
    body = bodies.build_messages_webhook(NUMBER, [ANN], [message]).replace(
        b'{"body":"FIRST"}', b'{"body":"first","__proto__":{"body":"x"},"constructor":{"body":"y"},"body":"last"}'
    )
    await tick.deliver(body)
    assert await tick.read_items() == [["message", "done", ""]]
    assert await tick.tables.fetch_value("SELECT description FROM ticket") == "last"


@pytest.mark.parametrize("how", ["not utf-8", "utf-16", "utf-8 with a mark", "gzip"])
async def test_bad_input_14_bytes_that_are_not_utf_8(tick: Tick, how: str) -> None:
    body = build_hello(tick)
    encoded = {
        "not utf-8": body.replace(b"hello", b"\xff\xfe"),
        "utf-16": body.decode().encode("utf-16"),
        "utf-8 with a mark": b"\xef\xbb\xbf" + body,
        "gzip": gzip.compress(body),
    }[how]
    headers = {"Content_Encoding": "gzip"} if how == "gzip" else {}
    assert (await tick.post(encoded, **headers)).status == 200
    assert await tick.read_items() == [["other", "ignored", "not_json"]]
    assert tick.graph.sends == []


def query(**changed: str) -> dict[str, str]:
    good = {"hub.mode": "subscribe", "hub.verify_token": VERIFY_TOKEN, "hub.challenge": "1158201444"}
    asked = good | {f"hub.{name}": value for name, value in changed.items()}
    return {name: value for name, value in asked.items() if value != "MISSING"}


async def test_bad_input_57_the_handshake(tick: Tick) -> None:
    response = await tick.http.get(WEBHOOK, params=query())
    assert (response.status_code, response.content) == (200, b"1158201444")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert (await tick.http.get(WEBHOOK, params=query(challenge="7" * 256))).status_code == 200


@pytest.mark.parametrize(
    "asked",
    [query(verify_token="wrong"), query(verify_token=VERIFY_TOKEN + " "), query(verify_token="MISSING"),
     query(mode="unsubscribe"), query(mode="MISSING"), query(challenge="MISSING"), query(challenge=""),
     query(challenge="<script>alert(1)</script>"), query(challenge="7" * 257), query(verify_token="ключ"), {}],
)  # fmt: skip
async def test_bad_input_57_a_handshake_that_is_refused(tick: Tick, asked: dict[str, str]) -> None:
    response = await tick.http.get(WEBHOOK, params=asked)
    assert (response.status_code, response.content) == (403, HANDSHAKE_REFUSED)


@pytest.mark.parametrize("name", ["hub.mode", "hub.verify_token", "hub.challenge"])
async def test_bad_input_57_a_parameter_that_comes_twice_or_as_an_array(tick: Tick, name: str) -> None:
    pairs = list(query().items())
    twice = [*pairs, (name, query()[name])]
    array = [(f"{key}[]" if key == name else key, value) for key, value in pairs]
    for asked in (twice, array):
        response = await tick.http.get(f"{WEBHOOK}?{urlencode(asked)}")
        assert (response.status_code, response.content) == (403, HANDSHAKE_REFUSED)


async def test_bad_input_58_requests_for_something_else(tick: Tick) -> None:
    body = build_hello(tick)
    signed = (build_signature(body), build_length(body))
    for status, request in {
        405: build_head(*signed, method="PUT"),
        404: build_head(*signed, path=WEBHOOK + "//"),
        431: build_head(*signed, b"X-Long: " + b"x" * 16384),
        400: b"nonsense\r\n\r\n",
    }.items():
        assert parse_status(await ask(tick.port, request, body)) == status
    for method in ("DELETE", "PATCH"):
        assert parse_status(await ask(tick.port, build_head(*signed, method=method), body)) == 405
    for path in ("/api/whatsapp/webhooks", "/api/whatsapp/webhook/x", "/webhook"):
        assert parse_status(await ask(tick.port, build_head(*signed, path=path), body)) == 404
    assert await tick.read_items() == []
    await assert_alive(tick)


async def test_bad_input_58_a_callback_that_was_saved_with_a_slash(tick: Tick) -> None:
    response = await tick.http.get(WEBHOOK + "/", params=query())
    assert (response.status_code, response.content) == (200, b"1158201444")
    body = build_hello(tick)
    signed = (build_signature(body), build_length(body))
    assert parse_status(await ask(tick.port, build_head(*signed, path=WEBHOOK + "/"), body)) == 200
    await tick.wait_until_settled()
    assert await tick.read_items() == [["message", "done", ""]]


async def test_bad_input_58_chunks_that_are_none(tick: Tick) -> None:
    before = await count_webhooks(tick, 400)
    head = build_head(build_signature(b"{}"), b"Transfer-Encoding: chunked")
    for broken in (b"ZZ\r\n{}\r\n", b"2\r\n{}XX\r\n0\r\n\r\n"):
        assert parse_status(await ask(tick.port, head, broken)) == 400
    assert await count_webhooks(tick, 400) == before + 2
    assert await tick.read_items() == []


async def test_bad_input_58_a_flood_of_http_2(tick: Tick) -> None:
    """HTTP/2 is not spoken here, so streams that are opened and reset cost nothing."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
    streams = (
        b"\0\0\1\1\5" + number.to_bytes(4) + b"\x82" + b"\0\0\4\3\0" + number.to_bytes(4) + b"\0\0\0\x08"
        for number in range(1, 2_000, 2)
    )
    answer = await ask(tick.port, preface, endless=streams)
    assert b" 200" not in answer
    await assert_alive(tick)

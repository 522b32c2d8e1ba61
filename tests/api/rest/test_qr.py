"""QR codes over the REST API, read back by a reader of QR codes."""

import asyncio
import re
import struct
import zlib
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest
import zxingcpp

from api.web.credentials import Role
from storage.sql.database import Database
from tests.api.rest.meta_service import MetaService, serve_with_meta
from tests.bot.meta_answers import NUMBER, CannedAnswer, refusal

ASK, CODES = f"GET {NUMBER}", f"{NUMBER}/message_qrdls"
QR = "/api/whatsapp/qr"
MADE = {
    "code": "4O4YGZEG3RIVE1", "prefilled_message": "Hello", "deep_link_url": "https://wa.me/message/4O4YGZEG3RIVE1",
    "qr_image_url": "https://scontent.example/qr",
}  # fmt: skip


@pytest.fixture
async def service(sqlite_database: Database) -> AsyncIterator[MetaService]:
    async with serve_with_meta(sqlite_database) as running:
        running.meta.set_answers(ASK, {"id": NUMBER, "display_phone_number": "+1 555-000-1234", "status": "CONNECTED"})
        yield running


def pixels_of(png: bytes) -> tuple[int, int, bytes]:
    """(width, height, a byte a pixel) of a black and white PNG."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        chunks[kind] = chunks.get(kind, b"") + png[at + 8 : at + 8 + length]
        at += 12 + length
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colour) == (1, 0)
    raw, stride = zlib.decompress(chunks[b"IDAT"]), (width + 7) // 8 + 1
    above, pixels = bytes(stride - 1), bytearray()
    for y in range(height):
        kind, row = raw[y * stride], raw[y * stride + 1 : (y + 1) * stride]
        assert kind in (0, 2)  # as it is, or the difference to the row above
        above = row if kind == 0 else bytes((one + other) % 256 for one, other in zip(row, above, strict=True))
        pixels += bytes(255 * (above[x // 8] >> (7 - x % 8) & 1) for x in range(width))
    return width, height, bytes(pixels)


def pixels_of_svg(svg: str) -> tuple[int, int, bytes]:
    """The same of an SVG that is drawn in horizontal strokes, a module a line."""
    scale = 4
    size = re.search(r'viewBox="0 0 (\d+) (\d+)"|width="(\d+)" height="(\d+)"', svg)
    assert size
    outer = int(size[1] or size[3]) // (1 if size[1] else 8)
    grid = [[255] * outer for _ in range(outer)]
    path = re.search(r'stroke="#000" d="([^"]+)"', svg)
    assert path
    x = y = 0.0
    for command, numbers in re.findall(r"([MmhH])([-\d. ,]*)", path[1]):
        values = [float(number) for number in re.findall(r"-?\d*\.?\d+", numbers)]
        if command == "M":
            x, y = values
        elif command == "m":
            x, y = x + values[0], y + values[1]
        else:
            for column in range(int(x), int(x + values[0])):
                grid[int(y)][column] = 0
            x += values[0]
    rows = [bytes(pixel for pixel in row for _ in range(scale)) for row in grid for _ in range(scale)]
    return outer * scale, outer * scale, b"".join(rows)


def read(width: int, height: int, pixels: bytes) -> str:
    """What a phone would read."""
    image = memoryview(pixels).cast("B", (height, width))
    [found] = zxingcpp.read_barcodes(image)
    return str(found.text)


TEXTS = [
    "",
    "Hello",
    "Ticket #12 & more? 100% = yes + no",
    "line one\nline two",
    "caf\u00e9 \u00fcber \u4f60\u597d \u0633\u0644\u0627\u0645",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1f5\U0001f1f9 \U0001f600",
    "&code=other#x",
    "x" * 1500,
]


@pytest.mark.parametrize("image_format", ["png", "svg"])
async def test_a_phone_reads_the_link(service: MetaService, image_format: str) -> None:
    headers = {"Authorization": f"Bearer {service.keys[Role.VIEWER]}"}
    for text in TEXTS:
        response = await service.http.get(QR, params={"text": text, "format": image_format}, headers=headers)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == {"png": "image/png", "svg": "image/svg+xml"}[image_format]
        assert response.headers["cache-control"] == "private, max-age=3600"
        picture = pixels_of(response.content) if image_format == "png" else pixels_of_svg(response.text)
        link = urlsplit(read(*picture))
        assert (link.scheme, link.netloc, link.path, link.fragment) == ("https", "wa.me", "/15550001234", "")
        assert parse_qs(link.query, keep_blank_values=True) == ({"text": [text]} if text else {})
        assert link.query.isascii()


async def test_metas_own_code_as_a_picture(service: MetaService) -> None:
    response = await service.call("GET", f"{QR}?code=4O4YGZEG3RIVE1")
    assert read(*pixels_of(response.content)) == "https://wa.me/message/4O4YGZEG3RIVE1"
    assert service.meta.asked == []


ASKED = [
    ("*/*", "", "image/png"),
    ("image/svg+xml", "", "image/svg+xml"),
    ("image/svg+xml;q=0.5,image/png", "", "image/png"),
    ("text/html,image/svg+xml,*/*;q=0.1", "", "image/svg+xml"),
    ("text/html", "", "image/png"),
    ("image/svg+xml", "?format=png", "image/png"),
    ("image/png", "?format=svg", "image/svg+xml"),
]


async def test_the_form_that_was_asked_for(service: MetaService) -> None:
    for accept, query, content_type in ASKED:
        response = await service.call("GET", QR + query, Accept=accept)
        assert response.headers["content-type"] == content_type, (accept, query)
        assert "Accept" in response.headers["vary"]


NO_PICTURE = [
    ("text=" + "x" * 2954, "text"),
    ("text=" + "x" * 2950, "text"),
    ("text=" + "%F0%9F%98%80" * 250, "text"),
    ("format=gif", "format"),
    ("code=..%2Fx", "code"),
    ("code=" + "x" * 65, "code"),
    ("number=15550009999", "number"),
]


async def test_what_is_no_picture(service: MetaService) -> None:
    for query, field in NO_PICTURE:
        _, *reasons = await service.expect_refusal(422, "GET", f"{QR}?{query}")
        assert [reason.partition(":")[0] for reason in reasons] == [field]


async def test_a_code_has_its_own_text(service: MetaService) -> None:
    [told] = await service.expect_refusal(422, "GET", f"{QR}?code=ABC&text=Hello")
    assert "has its own text" in told


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (refusal(190, 401), "The access token"),
        (CannedAnswer(b"", 502), "Meta answered HTTP 502"),
        ({"id": NUMBER}, ""),
        ({"id": NUMBER, "display_phone_number": "none"}, ""),
    ],
)
async def test_number_that_can_not_be_known(service: MetaService, answer: object, why: str) -> None:
    service.meta.set_answers(ASK, answer)
    for _ in range(3):
        [told] = await service.expect_refusal(503, "GET", QR)
        assert told.startswith("The number is not known yet, and Meta could not be asked for it.")
        assert why in told
    assert service.meta.count(ASK) == 1


async def test_meta_is_asked_for_the_number_once(service: MetaService) -> None:
    for minutes in (0, 1, 60, 600):
        service.clock.forward(minutes=minutes)
        assert (await service.call("GET", QR)).status_code == 200
    assert service.meta.count(ASK) == 1


async def test_metas_own_codes(service: MetaService) -> None:
    service.meta.set_answers(f"POST {CODES}", MADE)
    made = await service.data("POST", QR, {"text": "Hello"}, status=201)
    assert made == {"code": "4O4YGZEG3RIVE1", "text": "Hello", "link": "https://wa.me/message/4O4YGZEG3RIVE1"}
    assert service.meta.asked[-1][2] == {"prefilled_message": "Hello", "generate_qr_image": "SVG"}
    more = {"data": [MADE], "paging": {"cursors": {"after": "A2"}, "next": "https://next"}}
    last = {"data": [MADE | {"code": "OTHER"}, {"code": "../x"}, 7], "paging": {"cursors": {"after": "A3"}}}
    service.meta.set_answers(f"GET {CODES}", more, last)
    listed = await service.data("GET", f"{QR}/codes")
    assert [code["code"] for code in listed] == ["4O4YGZEG3RIVE1", "OTHER"]
    service.meta.set_answers(f"DELETE {CODES}/4O4YGZEG3RIVE1", {"success": True})
    assert await service.data("DELETE", f"{QR}/codes/4O4YGZEG3RIVE1") is None
    assert (await service.call("DELETE", f"{QR}/codes/a.b")).status_code == 404


async def test_who_had_a_code_made_or_deleted_is_in_the_audit_whatever_meta_says(service: MetaService) -> None:
    service.meta.set_answers(f"POST {CODES}", MADE, refusal(190, 401))
    await service.data("POST", QR, {"text": "Hello"}, status=201)
    await service.expect_refusal(409, "POST", QR, {"text": "Bye"})
    service.meta.set_answers(f"DELETE {CODES}/4O4YGZEG3RIVE1", {"success": True})
    await service.data("DELETE", f"{QR}/codes/4O4YGZEG3RIVE1")
    async with service.database.reading() as tx:
        lines = await tx.fetch(
            "SELECT actor, action, object_id, detail FROM audit WHERE action LIKE 'qr.%' ORDER BY id"
        )
    assert {actor.partition(" (")[0] for actor, *_ in lines} == {"key the admin's"}
    assert [tuple(line) for _, *line in lines] == [
        ("qr.create", "", "Hello"),
        ("qr.create", "", "Bye"),
        ("qr.delete", "4O4YGZEG3RIVE1", ""),
    ]


SAID_NO = [
    (refusal(200, 403), 409, "Meta does not let this account have codes of its own. The access token"),
    (refusal(190, 401), 409, "Meta does not let this account have codes of its own. The access token"),
    (refusal(100), 409, "Meta did not accept this (error 100). This account may not have codes of its own."),
    (refusal(100, error_subcode=33), 409, "Meta knows no such code, or does not let this number have"),
    (refusal(80007), 503, "Meta's limit for calls is reached."),
    (refusal(131000, 500), 503, "Something went wrong on Meta's side."),
    (CannedAnswer(b"<html>", 502), 503, "Meta answered HTTP 502"),
    ({"code": 7}, 503, "Meta answered without a code."),
]


async def test_meta_says_no_to_a_code(service: MetaService) -> None:
    for answer, status, why in SAID_NO:
        service.meta.set_answers(f"POST {CODES}", answer)
        [told] = await service.expect_refusal(status, "POST", QR, {"text": "a secret text"})
        assert told.startswith(why)
        assert "secret" not in told


async def test_text_of_a_code_that_is_not_valid(service: MetaService) -> None:
    for text in ("", " \n", "x" * 141, None, 5):
        _, *reasons = await service.expect_refusal(422, "POST", QR, {"text": text})
        assert [reason.partition(":")[0] for reason in reasons] == ["text"]
    assert service.meta.asked == []


async def test_who_may(service: MetaService) -> None:
    assert (await service.call("GET", QR, role=Role.VIEWER)).status_code == 200
    for method, path in (("POST", QR), ("DELETE", f"{QR}/codes/ABC")):
        assert (await service.call(method, path, {"text": "Hello"}, role=Role.AGENT)).status_code == 403
    assert (await service.http.get(QR)).status_code == 401


async def test_the_largest_code_keeps_nobody_waiting(service: MetaService) -> None:
    drawing = asyncio.create_task(service.call("GET", f"{QR}?format=svg&text={'x' * 2900}"))
    answered = 0
    while not drawing.done():
        assert (await service.call("GET", "/healthz")).status_code == 200
        answered += 1
    assert (await drawing).status_code == 200
    assert answered >= 5  # one or two, where the loop itself draws

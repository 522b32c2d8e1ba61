"""The simulator's page as a person uses it (page object): by what can be seen on it, never by how it is built."""

import struct
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, Locator, Page, async_playwright

BROWSER_OPTIONS = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
)


@asynccontextmanager
async def open_browser(program: str, *options: str) -> AsyncIterator[Browser]:
    """Opens a browser that makes no requests of its own."""
    async with async_playwright() as playwright:
        yield await playwright.chromium.launch(executable_path=program, args=[*BROWSER_OPTIONS, *options])


def phone_of(page: Page, name: str) -> Locator:
    """Finds one customer's phone."""
    return page.get_by_role("region", name=f"Phone of {name}")


def bubbles(phone: Locator, by: str) -> Locator:
    """Finds the messages of the "customer" or of the "business" in a chat."""
    return phone.locator(f'article[data-by="{by}"]')


async def write(phone: Locator, text: str) -> None:
    """Types a message and presses Enter."""
    field = phone.get_by_role("textbox", name="Type a message")
    await field.fill(text)
    await field.press("Enter")


async def pick(phone: Locator, opener: str, row: str) -> None:
    """Opens the newest list, chooses a row and sends it."""
    await phone.get_by_role("button", name=opener, exact=True).last.click()
    sheet = phone.get_by_role("dialog", name=opener)
    await sheet.get_by_role("radio", name=row, exact=True).check()
    await sheet.get_by_role("button", name="Send choice").click()


async def tap(phone: Locator, label: str) -> None:
    """Taps the newest button with this label."""
    await bubbles(phone, "business").get_by_role("button", name=label, exact=True).last.click()


async def quote(bubble: Locator) -> None:
    """Begins an answer to one message."""
    await bubble.hover()
    await bubble.get_by_role("button", name="Reply to this message").click()


async def attach(phone: Locator, file: Path) -> None:
    """Chooses a file; it goes out with the next message."""
    await phone.get_by_label("File to send").set_input_files(file)


def png(width: int, height: int, rows: Sequence[bytes]) -> bytes:
    """Makes a PNG out of rows of RGB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\x00" + row for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def tiny_png() -> bytes:
    """Makes a PNG of four pixels."""
    return png(2, 2, [b"\x20\x80\xf0" * 2, b"\xf0\x80\x20" * 2])

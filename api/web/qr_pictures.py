"""Draws QR codes beside the event loop.

Invariants
- A process draws one at a time: the largest takes a processor for a second, during which the loop goes on.
"""

import asyncio
import io
from typing import Literal

import segno

MODULE_PIXELS = 8  # so that a phone reads it from the screen
QUIET_ZONE_MODULES = 4  # of white around it, which ISO/IEC 18004 asks for
MAX_LINK_BYTES = 2953  # in the largest code there is: version 40 at the lowest level of correction
ImageFormat = Literal["png", "svg"]


class QrPainter:
    """Draws QR codes for one process."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)

    async def draw(self, link: str, image_format: ImageFormat) -> bytes | None:
        """Draws the link as a picture, as sturdy as its size allows; None when it is too long for any."""
        if len(link) > MAX_LINK_BYTES:
            return None
        async with self._turn:
            return await asyncio.to_thread(_draw, link, image_format)


def _draw(link: str, image_format: ImageFormat) -> bytes:
    out = io.BytesIO()
    code = segno.make_qr(link, error="l", boost_error=True)
    if image_format == "svg":
        code.save(out, kind="svg", scale=MODULE_PIXELS, border=QUIET_ZONE_MODULES, light="#fff", omitsize=False)
    else:
        code.save(out, kind="png", scale=MODULE_PIXELS, border=QUIET_ZONE_MODULES)
    return out.getvalue()

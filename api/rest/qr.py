"""QR codes that lead customers to us: for print, with a first message typed in already; and Meta's own.

Invariant: what a picture says is a link of WhatsApp's, to our number or one of its codes, and nothing else: a caller
chooses only the text, which arrives percent-encoded, or the code, which is letters and digits.
"""

import io
from typing import Annotated, Literal
from urllib.parse import quote

import segno
from pydantic import AfterValidator, BaseModel, Field
from quart import Response, request

from api.web.auth import GuardedBlueprint, Permission, needs
from api.web.fields import Text
from api.web.responses import Answer, Body, Problem, Query, Refusal, answer, asks, gives, refusal, takes
from bot.account.phone_number import PhoneNumberMonitor
from bot.account.qr_codes import (
    CODE_PATTERN,
    LINK_PREFIX,
    MAX_TEXT_CHARACTERS,
    MetaRefused,
    MetaUnavailable,
    QrCode,
    QrCodes,
)
from bot.whatsapp.sanitize import clean

PIXELS = 8  # a module's, so that a phone reads it from the screen
QUIET = 4  # modules of white around it, which the standard asks for
LONGEST_LINK = 2953  # bytes in the largest code there is
KEPT = "private, max-age=3600"
TYPES = {"png": "image/png", "svg": "image/svg+xml"}
NO_NUMBER = "The number is not known yet, and Meta could not be asked for it. "


def _code(code: str) -> str:
    if code and not CODE_PATTERN.fullmatch(code):
        raise ValueError("must be one of Meta's codes: letters and digits")
    return code


def _short(text: str) -> str:
    if len(text) > MAX_TEXT_CHARACTERS:
        raise ValueError(f"must have at most {MAX_TEXT_CHARACTERS} characters")
    return text


class Wanted(Query):
    """`text` is typed in already when the link is followed, and may be changed; `code` is one of Meta's own instead."""

    text: Annotated[str, Field(max_length=LONGEST_LINK), AfterValidator(clean)] = ""
    format: Literal["png", "svg"] | None = None
    code: Annotated[str, AfterValidator(_code)] = ""


class NewCode(Body):
    """The text of one of Meta's own codes."""

    text: Annotated[Text, AfterValidator(_short)]


class Code(BaseModel):
    """One of Meta's own codes; its picture is at GET /api/whatsapp/qr?code=."""

    code: str
    text: str
    link: str


def make_qr(monitor: PhoneNumberMonitor, codes: QrCodes) -> GuardedBlueprint:
    """The routes under /api/whatsapp/qr."""
    blueprint = GuardedBlueprint("qr", __name__, url_prefix="/api/whatsapp/qr")

    @blueprint.get("")
    @needs(Permission.READ)
    @asks(Wanted)
    @gives(Refusal, 422)
    @gives(Refusal, 503)
    async def picture(query_args: Wanted) -> Response:
        """A QR code for print: the link to our number, or one of Meta's own codes."""
        if query_args.code and query_args.text:
            return refusal(422, "One of Meta's codes has its own text: ask for `code` or for `text`")
        link = LINK_PREFIX + query_args.code
        if not query_args.code:
            number = await monitor.fetch_if_unknown()
            if not number.digits:
                return _away(NO_NUMBER + number.problem)
            link = link_to(number.digits, query_args.text)
        image_format = query_args.format or _accepted()
        picture = draw(link, image_format)
        if picture is None:
            told = Problem(field="text", message="is too long for a QR code: what is not plain letters takes more room")
            return refusal(422, "Something in the request is not as it should be", [told])
        response = Response(picture, content_type=TYPES[image_format])
        response.headers["Cache-Control"] = KEPT
        response.headers["Vary"] = "Accept, Authorization, Cookie"
        response.headers["Content-Disposition"] = f'inline; filename="whatsapp.{image_format}"'
        return response

    @blueprint.post("")
    @needs(Permission.MANAGE)
    @takes(NewCode)
    @gives(Answer[Code], 201)
    @gives(Refusal, 409)
    @gives(Refusal, 503)
    async def make(data: NewCode) -> Response:
        """Make one of Meta's own codes: its text can be changed, at Meta, after it was printed."""
        return answer(Answer[Code](data=_shown(await codes.create(data.text))), 201)

    @blueprint.get("/codes")
    @needs(Permission.READ)
    @gives(Answer[list[Code]])
    @gives(Refusal, 409)
    @gives(Refusal, 503)
    async def listed() -> Response:
        """Meta's own codes for our number."""
        return answer(Answer[list[Code]](data=[_shown(code) for code in await codes.list_codes()]))

    @blueprint.delete("/codes/<code>")
    @needs(Permission.MANAGE)
    @gives(Answer[None])
    @gives(Refusal, 404)
    @gives(Refusal, 409)
    @gives(Refusal, 503)
    async def delete(code: str) -> Response:
        """Delete one of Meta's own codes: what is printed stops working."""
        if not CODE_PATTERN.fullmatch(code):
            return refusal(404)
        await codes.delete(code)
        return answer(Answer[None](data=None))

    @blueprint.errorhandler(MetaRefused)
    async def refused(error: MetaRefused) -> Response:
        return refusal(409, str(error))

    @blueprint.errorhandler(MetaUnavailable)
    async def away(error: MetaUnavailable) -> Response:
        return _away(str(error))

    return blueprint


def link_to(digits: str, text: str) -> str:
    """The link that opens a chat with this number, with `text` typed in."""
    return f"https://wa.me/{digits}" + (f"?text={quote(text, safe='')}" if text else "")


def draw(link: str, image_format: Literal["png", "svg"]) -> bytes | None:
    """The link as a picture, as sturdy as its size allows; None when it is too long for any."""
    if len(link) > LONGEST_LINK:
        return None
    out = io.BytesIO()
    code = segno.make_qr(link, error="l", boost_error=True)
    if image_format == "svg":
        code.save(out, kind="svg", scale=PIXELS, border=QUIET, light="#fff", omitsize=False)
    else:
        code.save(out, kind="png", scale=PIXELS, border=QUIET)
    return out.getvalue()


def _accepted() -> Literal["png", "svg"]:
    """PNG, unless the caller would rather have SVG."""
    best = request.accept_mimetypes.best_match([TYPES["png"], TYPES["svg"]], TYPES["png"])
    return "svg" if best == TYPES["svg"] else "png"


def _shown(code: QrCode) -> Code:
    return Code(code=code.code, text=code.text, link=code.link)


def _away(message: str) -> Response:
    response = refusal(503, message)
    response.headers["Retry-After"] = "60"
    return response

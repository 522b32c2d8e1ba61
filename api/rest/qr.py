"""Serves QR codes over REST: one that leads customers to our number, for print, and Meta's own.

Invariants
- What a picture says is a link of WhatsApp's, to our number or one of its codes, and nothing else: a caller chooses
  only the text, which arrives percent-encoded, or the code, which is letters and digits.
"""

from typing import Annotated, Any
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, Field
from quart import Response, request
from quart_schema import document_response, validate_querystring, validate_request

from api.services import services
from api.web.auth import GuardedBlueprint, Permission, caller, needs
from api.web.fields import Text
from api.web.openapi import answers_with, describe_blueprint
from api.web.qr_pictures import MAX_LINK_BYTES, ImageFormat
from api.web.responses import NOT_VALID, Answer, Body, Problem, Query, Refusal, refuse, respond
from bot.account.qr_codes import (
    CODE_PATTERN,
    LINK_PREFIX,
    MAX_TEXT_CHARACTERS,
    MetaRefused,
    MetaUnavailable,
    QrCode,
)
from bot.whatsapp.sanitize import clean
from storage.statuses import AuditAction

CACHE_CONTROL = "private, max-age=3600"
TYPES = {"png": "image/png", "svg": "image/svg+xml"}
CODE_SCHEMA: dict[str, Any] = {"type": "string", "pattern": f"^{CODE_PATTERN.pattern}$", "examples": ["4O4YGZEG3RIVE1"]}
blueprint = GuardedBlueprint("qr", __name__, url_prefix="/api/whatsapp/qr")
describe_blueprint(
    blueprint, "QR codes", code=CODE_SCHEMA | {"description": "One of Meta's codes, as the list has it."}
)


def _check_code(code: str) -> str:
    if code and not CODE_PATTERN.fullmatch(code):
        raise ValueError("must be one of Meta's codes: letters and digits")
    return code


def _check_length(text: str) -> str:
    if len(text) > MAX_TEXT_CHARACTERS:
        raise ValueError(f"must have at most {MAX_TEXT_CHARACTERS} characters")
    return text


class CodeQuery(Query):
    """Which QR code to draw."""

    text: Annotated[str, Field(max_length=MAX_LINK_BYTES), AfterValidator(clean)] = Field(
        default="", description="What is typed in already when the link is followed; customers may change it."
    )
    format: ImageFormat | None = Field(default=None, description="Without it the header `Accept` decides.")
    code: Annotated[str, AfterValidator(_check_code)] = Field(
        default="",
        description="One of Meta's own codes, which has its own text.",
        json_schema_extra={"pattern": f"^({CODE_PATTERN.pattern})?$"},
    )


class NewQrCode(Body):
    """The text of one of Meta's own codes."""

    text: Annotated[Text, AfterValidator(_check_length)] = Field(
        description="What is typed in already when the link is followed.",
        examples=["Hello from the shop window"],
        json_schema_extra={"maxLength": MAX_TEXT_CHARACTERS},
    )


class QrCodeShown(BaseModel):
    """One of Meta's own codes; its picture is at GET /api/whatsapp/qr?code=."""

    code: str = Field(description="Meta's id of it.", json_schema_extra=CODE_SCHEMA)
    text: str = Field(description="What is typed in already when the link is followed.")
    link: str = Field(description="Where the code leads to.", examples=["https://wa.me/message/4O4YGZEG3RIVE1"])


@blueprint.get("")
@needs(Permission.READ)
@validate_querystring(CodeQuery)
@answers_with(200, *TYPES.values(), description="The picture.")
@document_response(Refusal, 422)
@document_response(Refusal, 503)
async def draw_qr_code(query_args: CodeQuery) -> Response:
    """A QR code for print: the link to our number, or one of Meta's own codes."""
    if query_args.code and query_args.text:
        return refuse(422, "One of Meta's codes has its own text: ask for `code` or for `text`")
    link = LINK_PREFIX + query_args.code if query_args.code else await _make_own_link(query_args.text)
    image_format = query_args.format or _choose_format()
    picture = await services().qr_painter.draw(link, image_format)
    if picture is None:
        problem = Problem(field="text", message="is too long for a QR code: what is not plain letters takes more room")
        return refuse(422, NOT_VALID, [problem])
    response = Response(picture, content_type=TYPES[image_format])
    response.headers["Cache-Control"] = CACHE_CONTROL
    response.headers["Vary"] = "Accept, Authorization, Cookie"
    response.headers["Content-Disposition"] = f'inline; filename="whatsapp.{image_format}"'
    return response


@blueprint.post("")
@needs(Permission.MANAGE)
@validate_request(NewQrCode)
@document_response(Answer[QrCodeShown], 201)
@document_response(Refusal, 409)
@document_response(Refusal, 503)
async def make_qr_code(data: NewQrCode) -> Response:
    """Make one of Meta's own codes: its text can be changed, at Meta, after it was printed."""
    await services().audit_trail.record(caller().actor.name, AuditAction.QR_CREATE, detail=data.text)
    return respond(Answer[QrCodeShown](data=_show_code(await services().qr_codes.create(data.text))), 201)


@blueprint.get("/codes")
@needs(Permission.READ)
@document_response(Answer[list[QrCodeShown]])
@document_response(Refusal, 409)
@document_response(Refusal, 503)
async def list_qr_codes() -> Response:
    """Meta's own codes for our number."""
    return respond(
        Answer[list[QrCodeShown]](data=[_show_code(code) for code in await services().qr_codes.list_codes()])
    )


@blueprint.delete("/codes/<code>")
@needs(Permission.MANAGE)
@document_response(Answer[None])
@document_response(Refusal, 404)
@document_response(Refusal, 409)
@document_response(Refusal, 503)
async def delete_qr_code(code: str) -> Response:
    """Delete one of Meta's own codes: what is printed stops working."""
    if not CODE_PATTERN.fullmatch(code):
        return refuse(404)
    await services().audit_trail.record(caller().actor.name, AuditAction.QR_DELETE, object_id=code)
    await services().qr_codes.delete(code)
    return respond(Answer[None](data=None))


@blueprint.errorhandler(MetaRefused)
async def refuse_as_meta_does(error: MetaRefused) -> Response:
    """Meta said no."""
    return refuse(409, str(error))


@blueprint.errorhandler(MetaUnavailable)
async def refuse_for_now(error: MetaUnavailable) -> Response:
    """Meta could not be asked, or is busy."""
    response = refuse(503, str(error))
    response.headers["Retry-After"] = "60"
    return response


def make_link(digits: str, text: str) -> str:
    """Makes the link that opens a chat with this number, with `text` typed in."""
    return f"https://wa.me/{digits}" + (f"?text={quote(text, safe='')}" if text else "")


async def _make_own_link(text: str) -> str:
    """Raises MetaUnavailable while the number is not known."""
    number = await services().phone_number.fetch_if_unknown()
    if not number.digits:
        raise MetaUnavailable(f"The number is not known yet, and Meta could not be asked for it. {number.problem}")
    return make_link(number.digits, text)


def _choose_format() -> ImageFormat:
    """Chooses PNG, unless the caller would rather have SVG."""
    best = request.accept_mimetypes.best_match([TYPES["png"], TYPES["svg"]], TYPES["png"])
    return "svg" if best == TYPES["svg"] else "png"


def _show_code(code: QrCode) -> QrCodeShown:
    return QrCodeShown(code=code.code, text=code.text, link=code.link)

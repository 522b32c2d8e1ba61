"""Media: uploaded, located, downloaded from a link that is soon worth nothing, removed.

An uploaded file goes to the disk in pieces, however large it is.
"""

import hashlib
import hmac
from typing import Any, Final

from quart import Blueprint, Response, jsonify, request

from api.simulator.file_transfer import hand_over
from api.simulator.graph.responses import done, no_such_object, refused
from api.simulator.graph_error import Refusal
from api.simulator.meta import Meta
from api.simulator.records import Media

LINK_SECONDS: Final = 300
MEGABYTE: Final = 1024 * 1024
# What may be sent, and up to which size.
LIMITS: Final = {
    "audio/aac": 16, "audio/amr": 16, "audio/mpeg": 16, "audio/mp4": 16, "audio/ogg": 16,
    "video/mp4": 16, "video/3gpp": 16,
    "image/jpeg": 5, "image/png": 5, "image/webp": 0.5,
    "text/plain": 100, "application/pdf": 100,
    "application/msword": 100, "application/vnd.ms-excel": 100, "application/vnd.ms-powerpoint": 100,
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": 100,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": 100,
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": 100,
}  # fmt: skip


def add_media(graph: Blueprint, meta: Meta) -> None:
    @graph.post("/<phone_number_id>/media")
    async def upload(version: str, phone_number_id: str) -> Response:
        if phone_number_id != meta.setup.phone_number_id:
            return no_such_object(phone_number_id)
        file, form = (await request.files).get("file"), await request.form
        if file is None or form.get("messaging_product") != "whatsapp":
            return refused(Refusal(100, "The parameters messaging_product and file are required."))
        mime_type = (form.get("type") or file.mimetype or "application/octet-stream").lower()
        most = LIMITS.get(mime_type.partition(";")[0].strip())
        if most is None:
            words = (
                f"Param file must be a file with one of the following types: {', '.join(LIMITS)}. Received {mime_type}."
            )
            return refused(Refusal(100, words))
        media = await meta.keep_file(file.stream, mime_type, file.filename or "", inbound=False)
        if media.size > most * MEGABYTE or media.size == 0:
            meta.chats.remove_media(media.media_id)
            return refused(Refusal(131053 if media.size else 100, "The file is too large for its type, or empty."))
        return jsonify({"id": media.media_id})

    @graph.delete("/<object_id>")
    async def remove_media(version: str, object_id: str) -> Response:
        if meta.find_media(object_id) is None:
            return no_such_object(object_id)
        meta.chats.remove_media(object_id)
        return done()

    @graph.get("/files/<media_id>")
    async def download(version: str, media_id: str) -> Response:
        media = meta.find_media(media_id)
        expires = request.args.get("ext", "")
        given = request.args.get("hash", "").encode("utf-8", "replace")
        good = hmac.compare_digest(_link_hash(meta, media_id, expires).encode(), given)
        if media is None or not good or int(expires) < meta.clock():
            return Response("", 404)
        return await hand_over(meta.chats.file_path(media_id), media.mime_type, media.filename)


def located(meta: Meta, version: str, media: Media) -> Response:
    """GET /{media-id}."""
    if request.args.get("phone_number_id", meta.setup.phone_number_id) != meta.setup.phone_number_id:
        return no_such_object(media.media_id)
    return jsonify(
        {
            "messaging_product": "whatsapp",
            "url": link(meta, version, media),
            "mime_type": media.mime_type,
            "sha256": media.sha256,
            "file_size": media.size,
            "id": media.media_id,
        }
    )


def link(meta: Meta, version: str, media: Media) -> str:
    """Where the file is for the next five minutes."""
    expires = str(int(meta.clock()) + LINK_SECONDS)
    known: dict[str, Any] = {"ext": expires, "hash": _link_hash(meta, media.media_id, expires)}
    query = "&".join(f"{key}={value}" for key, value in known.items())
    return f"{request.host_url}simulator/graph/{version}/files/{media.media_id}?{query}"


def _link_hash(meta: Meta, media_id: str, expires: str) -> str:
    known = f"{media_id}.{expires}".encode("utf-8", "replace")
    return hmac.new(meta.setup.app_secret.encode(), known, hashlib.sha256).hexdigest()

"""Serves media: uploaded, located, downloaded by a signed link that soon expires, removed.

An uploaded file goes to the disk in pieces, however large it is. Source: Meta's pages on media, and on supported media
types for the sizes.
"""

from typing import Final

from quart import Blueprint, Response, g, jsonify, request

from api.simulator.file_transfer import serve_file
from api.simulator.graph.responses import make_error_response, make_no_such_object_response, make_success_response
from api.simulator.graph_error import GraphError
from api.simulator.records import Media
from api.simulator.simulator import Simulator, current_simulator

MEGABYTE: Final = 1024 * 1024
# The types that may be sent.
MAX_MEGABYTES: Final = {
    "audio/aac": 16, "audio/amr": 16, "audio/mpeg": 16, "audio/mp4": 16, "audio/ogg": 16,
    "video/mp4": 16, "video/3gpp": 16,
    "image/jpeg": 5, "image/png": 5, "image/webp": 0.5,
    "text/plain": 100, "application/pdf": 100,
    "application/msword": 100, "application/vnd.ms-excel": 100, "application/vnd.ms-powerpoint": 100,
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": 100,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": 100,
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": 100,
}  # fmt: skip


media = Blueprint("media", __name__)


@media.post("/<phone_number_id>/media")
async def upload(phone_number_id: str) -> Response:
    """Takes a file out of a form, if its type and size may be sent."""
    simulator = current_simulator()
    if phone_number_id != simulator.setup.phone_number_id:
        return make_no_such_object_response(phone_number_id)
    file, form = (await request.files).get("file"), request.args.to_dict() | (await request.form).to_dict()
    if file is None or form.get("messaging_product") != "whatsapp":
        return make_error_response(GraphError(100, "The parameters messaging_product and file are required."))
    mime_type = (form.get("type") or file.mimetype or "application/octet-stream").lower()
    max_megabytes = MAX_MEGABYTES.get(mime_type.partition(";")[0].strip())
    if max_megabytes is None:
        types = ", ".join(MAX_MEGABYTES)
        words = f"Param file must be a file with one of the following types: {types}. Received {mime_type}."
        return make_error_response(GraphError(100, words))
    saved = await simulator.media.save(file.stream, mime_type, file.filename or "", inbound=False)
    if saved.size > max_megabytes * MEGABYTE or saved.size == 0:
        simulator.media.remove(saved.media_id)
        code = 131053 if saved.size else 100
        return make_error_response(GraphError(code, "The file is too large for its type, or empty."))
    return jsonify({"id": saved.media_id})


@media.delete("/<object_id>")
async def remove(object_id: str) -> Response:
    """Deletes a file."""
    simulator = current_simulator()
    if not simulator.media.has(object_id):
        return make_no_such_object_response(object_id)
    simulator.media.remove(object_id)
    return make_success_response()


@media.get("/files/<media_id>")
async def download(media_id: str) -> Response:
    """Serves a file whose link is genuine and has not expired; else 404."""
    simulator = current_simulator()
    found = simulator.media.find(media_id)
    expires, signature = request.args.get("ext", ""), request.args.get("hash", "")
    if found is None or not simulator.media_links.is_good(media_id, expires, signature):
        return Response("", 404)
    return await serve_file(simulator.chats.get_file_path(media_id), found.mime_type, found.filename)


def make_media_response(simulator: Simulator, found: Media) -> Response:
    """Answers GET /{media-id}: where the file can be downloaded, and what is known of it."""
    number_id = simulator.setup.phone_number_id
    if request.args.get("phone_number_id", number_id) != number_id:
        return make_no_such_object_response(found.media_id)
    return jsonify(
        {
            "messaging_product": "whatsapp",
            "url": simulator.media_links.make(found.media_id, f"{request.host_url}simulator/graph/{g.version}"),
            "mime_type": found.mime_type,
            "sha256": found.sha256,
            "file_size": found.size,
            "id": found.media_id,
        }
    )

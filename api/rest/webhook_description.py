"""Describes Meta's own door, `api/webhook.py`, for the OpenAPI document.

Its POST is answered in front of the framework, which therefore knows nothing of it.
"""

from typing import Any, Final

from bot.whatsapp.diagnostics.probe import WEBHOOK_PATH

Json = dict[str, Any]
TAG: Final = "Webhook"
_REFUSAL: Final[Json] = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}


def _describe_query(name: str, description: str, **schema: object) -> Json:
    text = {"type": "string", **schema}
    return {"name": name, "in": "query", "required": True, "description": description, "schema": text}


def _describe_refusal(description: str) -> Json:
    return {"description": description, "content": _REFUSAL}


PATHS: Final[Json] = {
    WEBHOOK_PATH: {
        "get": {
            "operationId": "verify_webhook",
            "tags": [TAG],
            "summary": "Show Meta that this address is ours.",
            "description": "Meta asks it once, when the address is entered there.\n\nIt needs no key.",
            "security": [],
            "parameters": [
                _describe_query("hub.mode", "What is asked.", enum=["subscribe"]),
                _describe_query("hub.verify_token", "The token of WHATSAPP_VERIFY_TOKEN."),
                _describe_query("hub.challenge", "What to answer with."),
            ],
            "responses": {
                "200": {
                    "description": "The challenge, and nothing else.",
                    "content": {"text/plain; charset=utf-8": {"schema": {"type": "string"}}},
                },
                "403": _describe_refusal("The token is another one, or something is missing."),
            },
        },
        "post": {
            "operationId": "receive_webhook",
            "tags": [TAG],
            "summary": "Take what happened on WhatsApp.",
            "description": "For Meta alone: what counts is the signature over the body, not a key.",
            "security": [],
            "parameters": [
                {
                    "name": "X-Hub-Signature-256",
                    "in": "header",
                    "required": True,
                    "description": "The HMAC-SHA256 of the body, with the app's secret.",
                    "schema": {"type": "string", "pattern": "^sha256=[0-9a-f]{64}$"},
                }
            ],
            "requestBody": {
                "required": True,
                "description": "As Meta's reference of webhooks has it.",
                "content": {"application/json": {"schema": {"type": "object", "additionalProperties": True}}},
            },
            "responses": {
                "200": {
                    "description": "All of it is kept for good.",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/WebhookReceipt"}}},
                },
                "401": _describe_refusal("There is no good signature: nothing was read."),
                "408": _describe_refusal("The body came too slowly."),
                "413": _describe_refusal("The body is larger than a webhook may be."),
                "503": _describe_refusal("It can't be kept just now; Meta sends it again."),
            },
        },
    }
}
SCHEMAS: Final[Json] = {
    "WebhookReceipt": {
        "type": "object",
        "description": "The answer to a webhook that is kept.",
        "properties": {"success": {"type": "boolean", "const": True}},
        "required": ["success"],
    }
}

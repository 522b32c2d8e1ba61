"""Who may call: the access token, what it may do, and the proof that the caller knows the app's secret."""

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any, Final

from quart import Blueprint, Response, jsonify, request

from api.simulator.graph_error import Refusal
from api.simulator.meta import Meta
from api.simulator.setup import MANAGEMENT, MESSAGING, Setup

OF_MESSAGING: Final = frozenset({"send", "read", "upload", "locate", "download", "remove"})
NO_TOKEN: Final = "Invalid OAuth access token - Cannot parse access token"  # noqa: S105  no password


def add_tokens(graph: Blueprint, meta: Meta) -> None:
    @graph.get("/debug_token")
    async def debug_token(version: str) -> Response:
        return jsonify({"data": _described(meta.setup, request.args.get("input_token", ""), meta.clock())})


def token_refusal(setup: Setup, now: float, what: str) -> Refusal | None:
    """Why this call is turned away before it is looked at; None when it is not."""
    given = _given()
    if _same(given, f"{setup.app_id}|{setup.app_secret}"):
        return None if what == "app" else Refusal(190, message="Invalid OAuth access token.", http_status=401)
    if not setup.knows_token(given):
        signed = given.partition("|")[0] == setup.app_id
        words = "Invalid OAuth access token signature." if signed else NO_TOKEN
        return Refusal(190, message=words, http_status=401)
    if setup.token_expired(now):
        return Refusal(190, message=_expired(setup, now), subcode=463, http_status=401)
    return _proof_refusal(setup) or _scope_refusal(setup, what)


def _proof_refusal(setup: Setup) -> Refusal | None:
    proof = request.args.get("appsecret_proof")
    if proof is None:
        words = "API calls from the server require an appsecret_proof argument"
        return Refusal(104, message=words, kind="GraphMethodException") if setup.require_proof else None
    wanted = hmac.new(setup.app_secret.encode(), setup.access_token.encode(), hashlib.sha256).hexdigest()
    if _same(proof, wanted):
        return None
    return Refusal(100, message="Invalid appsecret_proof provided in the API argument", kind="GraphMethodException")


def _scope_refusal(setup: Setup, what: str) -> Refusal | None:
    if what in OF_MESSAGING and MESSAGING not in setup.scopes:
        return Refusal(10, "The token lacks whatsapp_business_messaging.")
    if what in {"templates", "codes", "account"} and MANAGEMENT not in setup.scopes:
        # A number can be read by whoever may send from it.
        if what == "account" and MESSAGING in setup.scopes and (request.view_args or {}).get("object_id"):
            return None
        return Refusal(200, "The token lacks whatsapp_business_management.")
    return None


def _described(setup: Setup, token: str, now: float) -> dict[str, Any]:
    about: dict[str, Any] = {
        "app_id": setup.app_id,
        "type": "SYSTEM_USER",
        "application": setup.app_name,
        "data_access_expires_at": 0,
        "expires_at": int(setup.token_expires_at),
    }
    if not setup.knows_token(token):
        error = {"code": 190, "message": NO_TOKEN}
        return {"error": error, "is_valid": False, "scopes": []}
    scopes = sorted(setup.scopes)
    if setup.token_expired(now):
        error = {"code": 190, "message": _expired(setup, now), "subcode": 463}
        return about | {"error": error, "is_valid": False, "scopes": scopes}
    granular = [{"scope": scope, "target_ids": [setup.waba_id]} for scope in scopes]
    return about | {"is_valid": True, "issued_at": 1735689600, "scopes": scopes, "granular_scopes": granular}


def _expired(setup: Setup, now: float) -> str:
    at = datetime.fromtimestamp(setup.token_expires_at or now, UTC)
    return (
        f"Error validating access token: Session has expired on {at:%A, %d-%b-%y %H:%M:%S} UTC."
        f" The current time is {datetime.fromtimestamp(now, UTC):%A, %d-%b-%y %H:%M:%S} UTC."
    )


def is_app_token(setup: Setup) -> bool:
    return _same(_given(), f"{setup.app_id}|{setup.app_secret}")


def _given() -> str:
    header = request.headers.get("Authorization", "")
    return header[7:] if header.startswith("Bearer ") else request.args.get("access_token", "")


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode("utf-8", "replace"))

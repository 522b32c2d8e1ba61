"""Checks who calls: the access token, its permissions, and the proof that the caller knows the app's secret.

Source: Meta's pages on access tokens, on debug_token and on securing calls (appsecret_proof).
"""

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any, Final

from quart import Blueprint, Response, jsonify, request

from api.simulator.graph_error import GraphError
from api.simulator.setup import MANAGEMENT, MESSAGING, Setup
from api.simulator.simulator import current_simulator

MESSAGING_CALLS: Final = frozenset({"send", "read", "upload", "locate", "download", "remove"})
NO_TOKEN: Final = "Invalid OAuth access token - Cannot parse access token"  # noqa: S105 - no password


tokens = Blueprint("tokens", __name__)


@tokens.get("/debug_token")
async def debug_token() -> Response:
    """Describes the token that the query names."""
    simulator = current_simulator()
    token = request.args.get("input_token", "")
    return jsonify({"data": _describe_token(simulator.setup, token, simulator.clock())})


def find_token_error(setup: Setup, now: float, call: str) -> GraphError | None:
    """Returns why this kind of call is refused with the token of the request; None when it is not."""
    given = _read_token()
    if _is_same(given, f"{setup.app_id}|{setup.app_secret}"):
        return None if call == "app" else GraphError(190, message="Invalid OAuth access token.", http_status=401)
    if not setup.is_own_token(given):
        signed = given.partition("|")[0] == setup.app_id
        words = "Invalid OAuth access token signature." if signed else NO_TOKEN
        return GraphError(190, message=words, http_status=401)
    if setup.is_token_expired(now):
        return GraphError(190, message=_describe_expiry(setup, now), subcode=463, http_status=401)
    return _find_proof_error(setup) or _find_scope_error(setup, call)


def _find_proof_error(setup: Setup) -> GraphError | None:
    proof = request.args.get("appsecret_proof")
    if proof is None:
        words = "API calls from the server require an appsecret_proof argument"
        return GraphError(104, message=words, kind="GraphMethodException") if setup.require_proof else None
    wanted = hmac.new(setup.app_secret.encode(), setup.access_token.encode(), hashlib.sha256).hexdigest()
    if _is_same(proof, wanted):
        return None
    return GraphError(100, message="Invalid appsecret_proof provided in the API argument", kind="GraphMethodException")


def _find_scope_error(setup: Setup, call: str) -> GraphError | None:
    if call in MESSAGING_CALLS and MESSAGING not in setup.scopes:
        return GraphError(10, "The token lacks whatsapp_business_messaging.")
    if call in {"templates", "codes", "account"} and MANAGEMENT not in setup.scopes:
        # A number can be read by whoever may send from it.
        if call == "account" and MESSAGING in setup.scopes and (request.view_args or {}).get("object_id"):
            return None
        return GraphError(200, "The token lacks whatsapp_business_management.")
    return None


def _describe_token(setup: Setup, token: str, now: float) -> dict[str, Any]:
    about: dict[str, Any] = {
        "app_id": setup.app_id,
        "type": "SYSTEM_USER",
        "application": setup.app_name,
        "data_access_expires_at": 0,
        "expires_at": int(setup.token_expires_at),
    }
    if not setup.is_own_token(token):
        error = {"code": 190, "message": NO_TOKEN}
        return {"error": error, "is_valid": False, "scopes": []}
    scopes = sorted(setup.scopes)
    if setup.is_token_expired(now):
        error = {"code": 190, "message": _describe_expiry(setup, now), "subcode": 463}
        return about | {"error": error, "is_valid": False, "scopes": scopes}
    granular = [{"scope": scope, "target_ids": [setup.waba_id]} for scope in scopes]
    return about | {"is_valid": True, "issued_at": 1735689600, "scopes": scopes, "granular_scopes": granular}


def _describe_expiry(setup: Setup, now: float) -> str:
    at = datetime.fromtimestamp(setup.token_expires_at or now, UTC)
    return (
        f"Error validating access token: Session has expired on {at:%A, %d-%b-%y %H:%M:%S} UTC."
        f" The current time is {datetime.fromtimestamp(now, UTC):%A, %d-%b-%y %H:%M:%S} UTC."
    )


def is_app_token(setup: Setup) -> bool:
    """Whether the request carries the app's own token: its id and its secret."""
    return _is_same(_read_token(), f"{setup.app_id}|{setup.app_secret}")


def _read_token() -> str:
    header = request.headers.get("Authorization", "")
    return header[7:] if header.startswith("Bearer ") else request.args.get("access_token", "")


def _is_same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode("utf-8", "replace"))

"""What an answer of the Graph API says, read from its bytes. Pure.

Invariant: whatever arrives, there is an Answer: a value, an error of Meta's, or a sentence about why there is neither.
What is kept of Meta's own words never holds one of our secrets, which Meta does repeat: 'Malformed access token ...'.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.whatsapp.errors import Action, Scope, classify_error
from bot.whatsapp.sanitize import clean_line

_LONGEST_WAIT_SECONDS = 3600.0
_APP_LIMIT_WAIT_SECONDS = 300.0  # the app's calls are counted over a sliding hour, and Meta does not say when it ends
_VERSION = re.compile(r"v[0-9]{1,3}\.[0-9]{1,2}")


@dataclass(frozen=True, slots=True)
class GraphError:
    """Meta said no. `reason` is ours and for people, `detail` is Meta's; the trace id is what its support asks for."""

    code: int | None
    subcode: int | None
    http_status: int
    action: Action
    wait_seconds: float
    scope: Scope
    reason: str
    detail: str = ""
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class GraphResponse:
    """`value`: the JSON object of a 2xx answer, else {}. `failure`: why there was no answer, as a sentence.
    `sent`: False when surely nothing went out."""

    value: dict[str, object] = field(default_factory=dict, repr=False)
    error: GraphError | None = None
    failure: str = ""
    sent: bool = True
    api_version: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is what was asked for."""
        return self.error is None and not self.failure


def failed_response(failure: str, *, sent: bool) -> GraphResponse:
    """Nothing came back that could be read."""
    return GraphResponse(failure=failure, sent=sent)


def parse_response(
    status: int, headers: Mapping[str, str], body: bytes | None, secrets: Sequence[str] = ()
) -> GraphResponse:
    """`body` is None when it was longer than any answer of Meta's."""
    value = _json_of(body)
    good = 200 <= status < 300
    version = headers.get("facebook-api-version", "")
    version = version if _VERSION.fullmatch(version) else ""
    held = value.get("error") if value else None
    error = held if isinstance(held, dict) else {}
    code, subcode = _number(error.get("code")), _number(error.get("error_subcode"))
    if good and code is None and value is not None:
        return GraphResponse(value, api_version=version)
    if code is None and (good or status >= 500):
        return GraphResponse(
            failure=f"Meta answered HTTP {status} without saying what became of it.", api_version=version
        )
    # 100 is any wrong parameter; with this subcode it is the object's own id that is wrong, and nothing will pass.
    verdict = classify_error(33 if (code, subcode) == (100, 33) else code, status, error.get("is_transient") is True)
    return GraphResponse(
        value if good and value else {},
        GraphError(
            33 if (code, subcode) == (100, 33) else code,
            subcode,
            status,
            verdict.action,
            max(verdict.wait_seconds, _wait(verdict.action, verdict.scope, headers)),
            verdict.scope,
            verdict.reason,
            _detail_of(error, secrets),
            _short(error.get("fbtrace_id"), secrets),
        ),
        api_version=version,
    )


def _json_of(body: bytes | None) -> dict[str, object] | None:
    try:
        value = json.loads(body or b"")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _number(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        return int(value)
    return value if type(value) is int else None


def _detail_of(error: dict[str, object], secrets: Sequence[str]) -> str:
    data = error.get("error_data")
    detail = _short(data.get("details") if isinstance(data, dict) else data, secrets)
    return detail or _short(error.get("message"), secrets)


def _short(value: object, secrets: Sequence[str]) -> str:
    if not isinstance(value, str):
        return ""
    for secret in secrets:
        value = value.replace(secret, "***") if secret else value
    return clean_line(value, 300)


def _wait(action: Action, scope: Scope, headers: Mapping[str, str]) -> float:
    """The longest wait that the headers ask for; none where waiting is not the cure."""
    if action not in (Action.RETRY, Action.RETRY_AFTER):
        return 0.0
    asked = _retry_after(headers)
    if scope is Scope.NUMBER:
        asked = max(asked, _usage_wait(headers))
    return min(asked, _LONGEST_WAIT_SECONDS)


def _retry_after(headers: Mapping[str, str]) -> float:
    """In seconds; a date, or nonsense, is none."""
    value = headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdecimal() and len(value) < 10 else 0.0


def _usage_wait(headers: Mapping[str, str]) -> float:
    """What Meta's counters of our calls ask for: percentages of the app's, minutes for the account's."""
    app = _json_of(headers.get("x-app-usage", "").encode("utf-8", "replace")) or {}
    used = max((_positive(percent) for percent in app.values()), default=0.0)
    wait = _APP_LIMIT_WAIT_SECONDS if used >= 100 else 0.0
    accounts = _json_of(headers.get("x-business-use-case-usage", "").encode("utf-8", "replace")) or {}
    for counters in accounts.values():
        for counter in counters if isinstance(counters, list) else []:
            if isinstance(counter, dict):
                wait = max(wait, _positive(counter.get("estimated_time_to_regain_access")) * 60)
    return wait


def _positive(value: object) -> float:
    return float(value) if isinstance(value, int | float) and 0 < value < 1e9 else 0.0

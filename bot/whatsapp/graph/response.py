"""Reads what a response of the Graph API says, from its bytes. Pure.

Invariants
- Whatever arrives, there is a GraphResponse: a value, an error of Meta's, or a sentence about why there is neither.
- What is kept of Meta's own words never holds one of our secrets, which Meta does repeat: 'Malformed access token ...'.

Sources: Meta, support/error-codes; the Graph API's pages on error handling and rate limits (X-App-Usage,
X-Business-Use-Case-Usage); Retry-After: RFC 9110.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.whatsapp.errors import Action, Scope, classify_error
from bot.whatsapp.sanitize import clean_line

_MAX_WAIT_SECONDS = 3600.0
_APP_LIMIT_WAIT_SECONDS = 300.0  # the app's calls are counted over a sliding hour, and Meta does not say when it ends
_MAX_DETAIL_CHARACTERS = 300
_WRONG_PARAMETER, _NO_SUCH_OBJECT = 100, 33
_VERSION = re.compile(r"v[0-9]{1,3}\.[0-9]{1,2}")


@dataclass(frozen=True, slots=True)
class GraphError:
    """Meta said no. `reason` is ours and for people, `detail` is Meta's; the trace id is what Meta's support asks for.

    What to do is in `action`, after `wait_seconds`, and `scope` says how much has to wait with it.
    """

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
    """What became of a request.

    `value` is the JSON object of a 2xx response, else {}. `failure` is a sentence about why there was no response that
    could be read. `sent` is False only when surely nothing went out. `http_status`: of the answer, 0 where none came.
    `api_version` is the version that answered.
    """

    value: dict[str, object] = field(default_factory=dict, repr=False)
    error: GraphError | None = None
    failure: str = ""
    sent: bool = True
    http_status: int = 0
    api_version: str = ""

    @property
    def ok(self) -> bool:
        """Whether Meta did what was asked."""
        return self.error is None and not self.failure

    @property
    def next_cursor(self) -> str:
        """Where the next page of a list begins; "" after the last: Meta gives that a cursor too, but no address."""
        paging = self.value.get("paging")
        cursors = paging.get("cursors") if isinstance(paging, Mapping) and paging.get("next") else None
        after = cursors.get("after") if isinstance(cursors, Mapping) else None
        return after if isinstance(after, str) else ""


def make_failed_response(failure: str, *, sent: bool) -> GraphResponse:
    """Makes the response to a request that nothing came back to. `failure` is a sentence."""
    return GraphResponse(failure=failure, sent=sent)


def parse_response(
    status: int, headers: Mapping[str, str], body: bytes | None, *, secrets: Sequence[str] = ()
) -> GraphResponse:
    """Parses an HTTP response; `body` is None when it was longer than any of Meta's.

    `headers` are looked up in lower case. `secrets` are what must not be kept of Meta's words.
    """
    value = _load_object(body)
    good = 200 <= status < 300
    version = headers.get("facebook-api-version", "")
    version = version if _VERSION.fullmatch(version) else ""
    error = value.get("error") if value else None
    error = error if isinstance(error, dict) else {}
    code, subcode = _read_number(error.get("code")), _read_number(error.get("error_subcode"))
    if good and code is None and value is not None:
        return GraphResponse(value, http_status=status, api_version=version)
    if code is None and (good or status >= 500):
        failure = f"Meta answered HTTP {status} without saying what became of it."
        return GraphResponse(failure=failure, http_status=status, api_version=version)
    # 100 is any wrong parameter; with this subcode it is the object's own id that is wrong, and nothing will pass.
    code = _NO_SUCH_OBJECT if (code, subcode) == (_WRONG_PARAMETER, _NO_SUCH_OBJECT) else code
    policy = classify_error(code, status, error.get("is_transient") is True)
    graph_error = GraphError(
        code=code,
        subcode=subcode,
        http_status=status,
        action=policy.action,
        wait_seconds=max(policy.wait_seconds, _read_wait_seconds(policy.action, policy.scope, headers)),
        scope=policy.scope,
        reason=policy.reason,
        detail=_read_detail(error, secrets),
        trace_id=_clean_words(error.get("fbtrace_id"), secrets),
    )
    return GraphResponse(value if good and value else {}, graph_error, http_status=status, api_version=version)


def _load_object(body: bytes | None) -> dict[str, object] | None:
    try:
        value = json.loads(body or b"")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _read_number(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        return int(value)
    return value if type(value) is int else None


def _read_detail(error: dict[str, object], secrets: Sequence[str]) -> str:
    data = error.get("error_data")
    detail = _clean_words(data.get("details") if isinstance(data, dict) else data, secrets)
    return detail or _clean_words(error.get("message"), secrets)


def _clean_words(value: object, secrets: Sequence[str]) -> str:
    """Returns Meta's words on one line, with stars for our secrets."""
    if not isinstance(value, str):
        return ""
    for secret in secrets:
        value = value.replace(secret, "***") if secret else value
    return clean_line(value, _MAX_DETAIL_CHARACTERS)


def _read_wait_seconds(action: Action, scope: Scope, headers: Mapping[str, str]) -> float:
    """Returns the longest wait that the headers ask for; 0 where waiting is not the cure."""
    if action not in (Action.RETRY, Action.RETRY_AFTER):
        return 0.0
    asked = _read_retry_after_seconds(headers)
    if scope is Scope.NUMBER:
        asked = max(asked, _read_usage_wait_seconds(headers))
    return min(asked, _MAX_WAIT_SECONDS)


def _read_retry_after_seconds(headers: Mapping[str, str]) -> float:
    """Returns Retry-After where it is in seconds; a date, or nonsense, is 0."""
    value = headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdecimal() and len(value) < 10 else 0.0


def _read_usage_wait_seconds(headers: Mapping[str, str]) -> float:
    """Returns what Meta's counters of our calls ask for: percentages of the app's limit, minutes for the account's."""
    app = _load_object(headers.get("x-app-usage", "").encode("utf-8", "replace")) or {}
    used = max((_read_positive(percent) for percent in app.values()), default=0.0)
    wait = _APP_LIMIT_WAIT_SECONDS if used >= 100 else 0.0
    accounts = _load_object(headers.get("x-business-use-case-usage", "").encode("utf-8", "replace")) or {}
    for counters in accounts.values():
        for counter in counters if isinstance(counters, list) else []:
            if isinstance(counter, dict):
                wait = max(wait, _read_positive(counter.get("estimated_time_to_regain_access")) * 60)
    return wait


def _read_positive(value: object) -> float:
    return float(value) if isinstance(value, int | float) and 0 < value < 1e9 else 0.0

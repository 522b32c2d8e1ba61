"""Defines an error as the Graph API answers with it."""

from dataclasses import dataclass
from typing import Any

from api.simulator.error_codes import TRANSIENT_CODES, get_details, get_http_status, get_title


@dataclass(frozen=True, slots=True)
class GraphError:
    """An error that a call is answered with; it is a value and is never raised.

    `http_status`: 0 for what usually comes with the code. `message`: "" for the code and its title; with a message of
    its own an error has no details. `kind`: what Meta calls `type`.
    """

    code: int
    details: str = ""
    http_status: int = 0
    subcode: int = 0
    message: str = ""
    kind: str = "OAuthException"

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return self.http_status or get_http_status(self.code)

    def build_body(self, trace_id: str) -> dict[str, Any]:
        """Returns the body of the answer; `trace_id` is what Meta's support would ask for."""
        error: dict[str, Any] = {
            "message": self.message or f"(#{self.code}) {get_title(self.code)}",
            "type": self.kind,
            "code": self.code,
        }
        if self.code in TRANSIENT_CODES:
            error["is_transient"] = True
        if self.subcode:
            error["error_subcode"] = self.subcode
        if not self.message:
            details = self.details or get_details(self.code)
            error["error_data"] = {"messaging_product": "whatsapp", "details": details}
        return {"error": error | {"fbtrace_id": trace_id}}

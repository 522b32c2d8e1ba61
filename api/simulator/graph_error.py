"""An error as the Graph API puts it."""

from dataclasses import dataclass
from typing import Any

from api.simulator.error_codes import TRANSIENT, details_of, status_of, title_of


@dataclass(frozen=True, slots=True)
class Refusal:
    code: int
    details: str = ""
    http_status: int = 0  # 0: what usually comes with the code
    subcode: int = 0
    message: str = ""  # "": the code and its title; then there are no details either
    kind: str = "OAuthException"

    @property
    def status(self) -> int:
        return self.http_status or status_of(self.code)

    def document(self, trace_id: str) -> dict[str, Any]:
        error: dict[str, Any] = {
            "message": self.message or f"(#{self.code}) {title_of(self.code)}",
            "type": self.kind,
            "code": self.code,
        }
        if self.code in TRANSIENT:
            error["is_transient"] = True
        if self.subcode:
            error["error_subcode"] = self.subcode
        if not self.message:
            details = self.details or details_of(self.code)
            error["error_data"] = {"messaging_product": "whatsapp", "details": details}
        return {"error": error | {"fbtrace_id": trace_id}}

"""Names the severities of alerts in words for agents and operators. Pure."""

from collections.abc import Mapping

from storage.statuses import AlertSeverity

SEVERITY_LABELS: Mapping[AlertSeverity, str] = {
    AlertSeverity.RED: "Does not work",
    AlertSeverity.YELLOW: "May soon not work",
    AlertSeverity.INFO: "Good to know",
}

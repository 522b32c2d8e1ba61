"""Checks that nothing in the settings is weak or exposed, though it works."""

from api.doctor.check_context import CheckContext
from api.doctor.finding import Finding, pass_check, warn_check
from api.weak_settings import find_weaknesses


async def check_weak_settings(context: CheckContext) -> Finding:
    """Checks that secrets are strong and for Tick's eyes alone, and that nothing crosses a network as it is."""
    weaknesses = find_weaknesses(context.loaded_settings, context.config)
    if not weaknesses:
        return pass_check("No secret is weak, or open to others.")
    reasons, fixes = zip(*(weakness.split(": ", 1) for weakness in weaknesses), strict=True)
    return warn_check(" ".join(f"{reason}." for reason in reasons), " ".join(_to_sentence(fix) for fix in fixes))


def _to_sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."

"""Where the checkout and the tests' data lie, so that no test counts the folders above it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAYLOADS = ROOT / "tests" / "payloads"

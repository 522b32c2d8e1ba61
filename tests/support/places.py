"""The folders of the checkout and of the tests' data, so that no test counts the folders above it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAYLOADS = ROOT / "tests" / "payloads"

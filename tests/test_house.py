"""What holds for the repository as a whole: pinned, portable, and every setting explained."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from api.settings import Settings
from storage import statuses
from tests.support.places import ROOT

SETTINGS = {name.upper() for name in Settings.model_fields}
REQUIRED = {name.upper() for name, field in Settings.model_fields.items() if field.is_required()}
PIN = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>[^ ]+)(?: ; [^\\\n]+)? \\\n"
    r"(?:    --hash=sha256:[0-9a-f]{64} \\\n)*    --hash=sha256:[0-9a-f]{64}\n"
)
# Put together here, so that this page is not a finding of its own.
ADDRESS = re.compile(
    "index-" + r"url|https?://[^ \"']*/(simple|packages)/|\"resolved\": *\"http|^registry *=", re.MULTILINE
)
MACHINE = re.compile(r"(?<![\w.$}/-])/(home|Users|root|work)/" + r"\w")

# Not of ReplyKind: "message" is a key of much that is no reply.
ENUMS = (
    statuses.AlertSeverity,
    statuses.Fate,
    statuses.FileState,
    statuses.Origin,
    statuses.OutboxReason,
    statuses.OutboxStatus,
    statuses.ReplyAuthor,
    statuses.TicketStatus,
)
STATUS_VALUES = {str(member) for enum in ENUMS for member in enum if member}
OTHER_VOCABULARIES = (
    "api/simulator/",  # plays Meta, and knows nothing of what the service stores
    "api/bench/",  # reads what Meta's stand-in and the baseline say, which is Meta's
    "bot/whatsapp/webhook/",  # reads what Meta says
    "storage/bench_seed.py",  # writes words into columns, and compares none
    "storage/migrations/",  # wrote what the values were at its time
)
OTHER_MEANINGS = {
    "api/doctor/report.py: meta",  # a word in the name of a check
    "api/logs.py: info",  # a level of the log
    "bot/agents/notices.py: notice",  # a key of a message's payload
    "bot/whatsapp/diagnostics/reachability.py: refused",  # a word in the error of a connection
}


def tracked(*patterns: str) -> list[Path]:
    """The files of the repository."""
    command = ["git", "ls-files", "-z", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_constraints_hold_names_versions_and_hashes_and_nothing_else() -> None:
    text = (ROOT / "constraints.txt").read_text()
    rest = PIN.sub("", text).splitlines()
    assert rest == ["# For developers and CI only."]


def test_every_dependency_is_pinned_at_a_version_that_is_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = {pin["name"]: pin["version"] for pin in PIN.finditer((ROOT / "constraints.txt").read_text())}
    for line in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        asked = Requirement(line)
        assert asked.specifier.contains(pins.get(canonicalize_name(asked.name), "0")), f"{line}: run `make lock`"


def test_no_registry_and_no_machine_is_named() -> None:
    findings = []
    for path in tracked():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        findings += [
            f"{path.relative_to(ROOT)}: {found[0]}" for rule in (ADDRESS, MACHINE) for found in rule.finditer(text)
        ]
    assert findings == []


def test_the_example_explains_every_setting() -> None:
    shown = set(re.findall(r"^#?([A-Z][A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert shown == SETTINGS


def test_the_example_leaves_what_is_required_empty_and_sets_nothing_else() -> None:
    set_here = dict(re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert set_here == dict.fromkeys(REQUIRED, "")


@pytest.mark.parametrize("name", ["config.env", ".env", "data/demo/secrets.json", "secrets/database_url"])
def test_a_file_of_secrets_is_not_committed_by_mistake(name: str) -> None:
    subprocess.run(["git", "check-ignore", "--quiet", "--no-index", name], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    "page", ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "docs/CONTAINERS.md", "docs/GLOSSARY.md"]
)
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    named = re.findall(r"`((?:api|bot|flows|storage|tests|docs)/[\w./-]*)`", (ROOT / page).read_text("utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_no_module_outgrows_one_idea() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in tracked("*.py")}
    assert {name: lines for name, lines in lengths.items() if lines >= 300 and not name.startswith("tests/")} == {}


def test_nothing_of_ours_swallows_a_cancellation() -> None:
    """asyncio.wait_for may until Python 3.12, and a deadline or a stop is lost by it; asyncio.timeout does not."""
    ours = tracked("api/*.py", "bot/*.py", "flows/*.py", "storage/*.py")
    assert ours
    assert [
        path.name for path in ours if re.search(r"asyncio\.wait_for\(|import.*\bwait_for\b", path.read_text())
    ] == []


def test_a_status_is_compared_as_a_member_of_its_enum() -> None:
    findings = set()
    for path in tracked("api/*.py", "bot/*.py", "flows/*.py", "storage/*.py"):
        name = str(path.relative_to(ROOT))
        if not name.startswith(OTHER_VOCABULARIES):
            findings |= {f"{name}: {value}" for value in find_compared_strings(ast.parse(path.read_text()))}
    assert {each for each in findings if each.partition(": ")[2] in STATUS_VALUES} == OTHER_MEANINGS


def find_compared_strings(tree: ast.AST) -> Iterator[str]:
    """Finds what is written out where mypy can't tell a misspelt status: in comparisons, patterns and keys of dicts."""
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, comparators=others):
                compared: list[ast.expr | None] = [left, *others]
            case ast.Dict(keys=keys):
                compared = keys
            case ast.MatchValue(value=value):
                compared = [value]
            case _:
                continue
        for each in compared:
            parts = each.elts if isinstance(each, ast.Tuple | ast.List | ast.Set) else [each]
            yield from (part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str))


def test_what_is_imported_is_declared() -> None:
    """A library of a library may go with its next release."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    imported: dict[str, str] = {}
    for path in tracked("api/*.py", "bot/*.py", "flows/*.py", "storage/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            imported |= {name.split(".")[0]: str(path.relative_to(ROOT)) for name in names}
    providers = packages_distributions()
    ours = {"api", "bot", "flows", "storage", "_typeshed"}  # the last is for types alone
    findings = {
        name: path
        for name, path in imported.items()
        if name not in sys.stdlib_module_names | ours
        and not declared & {canonicalize_name(each) for each in providers[name]}
    }
    assert findings == {}

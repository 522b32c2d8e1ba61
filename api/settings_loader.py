"""Reads the operator's settings once, from the environment and config.env, checks all of them, and freezes them.

config.env is looked for in the working directory; the environment wins.

Invariants
- Nothing starts on a setting that is missing, malformed or still a placeholder.
- Every problem is one line that names the variable and where its value is found.
- No line, repr or traceback ever holds a value, but for the path of DESK_FILE.
"""

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr, ValidationError

from api.desk_file import NO_DESK_FILE, DeskFileError
from api.logs import PROCESS_REDACTION
from api.settings import WHERE, Settings, SettingsError, StorageSettings, read_config_file

CONFIG_FILE = Path("config.env")
MIN_SIMILARITY = 0.85  # of two names that differ by one slip of the keys; other settings differ by more
Kind = TypeVar("Kind", bound=StorageSettings)


def load_settings(config: Path = CONFIG_FILE, **given: Any) -> Settings:
    """Loads the settings of `serve` and `worker`; `given` goes before what is set. Raises SettingsError."""
    problems = [*_find_nothing_set(config), *_find_exposed_secrets(config), *_find_misspelt_names(config)]
    return build_settings(Settings, config, given=_read_secret_files(Settings, config) | given, problems=problems)


def read_access_token(config: Path = CONFIG_FILE) -> str:
    """Returns the access token as it is set now, which may be another than at the start; "" while the settings don't
    load. What was read is hidden in the logs before anybody uses it."""
    try:
        settings = load_settings(config, desk_file=NO_DESK_FILE)  # somebody may be editing it
    except SettingsError:
        return ""
    PROCESS_REDACTION.hide(settings.list_secrets())
    return settings.whatsapp_access_token.get_secret_value()


def load_storage_settings(config: Path = CONFIG_FILE) -> StorageSettings:
    """Loads the settings of the commands that need no WhatsApp. Raises SettingsError."""
    given = _read_secret_files(StorageSettings, config)
    return build_settings(StorageSettings, config, given=given, problems=_find_exposed_secrets(config))


def build_settings(kind: type[Kind], config: Path, *, given: Mapping[str, Any], problems: Sequence[str] = ()) -> Kind:
    """Reads the environment and `config` into settings of this kind; a value in `given` goes before both.

    Raises SettingsError with every problem at once, after those in `problems`.
    """
    found, loaded = list(problems), None
    try:
        if config.is_dir():
            raise IsADirectoryError
        loaded = kind(_env_file=config, **given)  # type: ignore[call-arg]  # pydantic-settings' own argument
    except ValidationError as error:
        invalid = error.errors(include_input=False, include_url=False)
        found += [line for problem in invalid for line in _describe_problem(problem)]
    except (OSError, UnicodeDecodeError):
        found.append(f"{config} can't be read: it must be a text file in UTF-8 that Tick's user may read")
    if loaded is None or found:
        raise SettingsError(found)  # outside of the handlers: no traceback chains to an error that knows values
    return loaded


def _describe_problem(problem: Any) -> list[str]:
    name = str(problem["loc"][0]).upper()
    reason = problem.get("ctx", {}).get("error", "is missing" if problem["type"] == "missing" else "can't be used")
    if isinstance(reason, DeskFileError):
        return [f"{name} {line}" for line in reason.lines]
    return [f"{name} {reason}: {WHERE[name]}"]


def _list_secret_names(kind: type[StorageSettings]) -> list[str]:
    return [name.upper() for name, info in kind.model_fields.items() if info.annotation is SecretStr]


def _find_exposed_secrets(config: Path) -> list[str]:
    """Returns the problem of a file of secrets that others on the machine can read: a leak, even if nobody has
    looked."""
    try:
        if os.name == "posix" and config.stat().st_mode & 0o007:
            kept = read_config_file(config)
            if any(kept.get(name) for name in _list_secret_names(Settings)):
                return [f"{config} holds secrets and is open to every user of this machine: chmod 600 {config}"]
    except (OSError, UnicodeDecodeError):
        pass  # no such file; or one that build_settings finds unreadable, and says so
    return []


def is_anything_set(config: Path = CONFIG_FILE) -> bool:
    """Whether any of the settings that have no default is set, in the environment or in `config`."""
    try:
        kept = read_config_file(config)
    except (OSError, UnicodeDecodeError):
        kept = {}
    needed = [name.upper() for name, info in Settings.model_fields.items() if info.is_required()]
    names = [*needed, *(f"{name}_FILE" for name in needed)]
    return any(os.environ.get(name) or kept.get(name) for name in names)


def _find_nothing_set(config: Path) -> list[str]:
    """Returns the problem that nothing at all is set: the file is in another folder, or is not there yet."""
    if config.exists() or is_anything_set(config):
        return []
    return [f"{config} is not in this folder: copy .env.example to {config} and fill it in, or start Tick where it is"]


def _find_misspelt_names(config: Path) -> list[str]:
    """Returns a problem for each name in the file that is nearly a setting's, and would be passed over in silence.

    Other names are the settings of other programs.
    """
    try:
        kept = read_config_file(config)
    except (OSError, UnicodeDecodeError):
        return []  # build_settings finds it unreadable, and says so
    ours = {*WHERE, *(f"{name}_FILE" for name in _list_secret_names(Settings))}
    problems = []
    for name in kept:
        if name.upper() not in ours and (meant := get_close_matches(name.upper(), ours, 1, MIN_SIMILARITY)):
            where = WHERE.get(meant[0]) or WHERE[meant[0].removesuffix("_FILE")]
            problems.append(f"{name} is no setting, perhaps {meant[0]} was meant: {where}")
    return problems


def _read_secret_files(kind: type[StorageSettings], config: Path) -> dict[str, Any]:
    """Reads the secrets that are given as NAME_FILE, the file that holds NAME, as container platforms mount them."""
    given = {}
    try:
        kept = read_config_file(config)
    except (OSError, UnicodeDecodeError):
        kept = {}  # build_settings finds it unreadable, and says so
    for name in _list_secret_names(kind):
        theirs = None if os.environ.get(name) else kept.get(f"{name}_FILE")  # the environment wins
        if path := os.environ.get(f"{name}_FILE") or theirs:
            try:
                given[name.lower()] = Path(path).read_text("utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError):
                raise SettingsError([f"{name}_FILE names a file that can't be read: {WHERE[name]}"]) from None
    return given

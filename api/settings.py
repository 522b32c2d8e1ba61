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
from typing import Annotated, Any, Literal, TypeVar, get_args

from dotenv import dotenv_values
from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from api import settings_checks as checks
from api.desk_file import NO_DESK_FILE, DeskFile, DeskFileError, read_desk_file
from api.logs import PROCESS_REDACTION
from api.settings_checks import Network, validate_with
from storage.blobs.store import S3Access
from storage.errors import OperatorError

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["", "json", "console"]

CONFIG_FILE = Path("config.env")
MIN_SIMILARITY = 0.85  # of two names that differ by one slip of the keys; other settings differ by more

WHERE = {  # to find the value of each variable, or what it may be
    "WHATSAPP_API_URL": "the Graph API with its version, https://graph.facebook.com/v25.0 unless you test another",
    "WHATSAPP_PHONE_NUMBER_ID": "App Dashboard > WhatsApp > API Setup > Phone number ID (not the phone number itself)",
    "WHATSAPP_ACCESS_TOKEN": "Business Settings > System users > Generate token, with the permissions "
    "whatsapp_business_messaging and whatsapp_business_management",
    "WHATSAPP_VERIFY_TOKEN": "make one up; enter it at App Dashboard > WhatsApp > Configuration > Verify token",
    "WHATSAPP_APP_SECRET": "App Dashboard > App settings > Basic > App secret",
    "WHATSAPP_BUSINESS_ACCOUNT_ID": "App Dashboard > WhatsApp > API Setup > WhatsApp Business Account ID",
    "WHATSAPP_MESSAGES_PER_SECOND": "what Meta lets your number send in a second: 80, 1000 after its upgrade (20 when "
    "the Business app shares the number); 0 leaves all limits to Meta",
    "DATABASE_URL": "mysql://user:password@host:3306/tick or sqlite:///path/to/tick.db (percent-encode "
    "what is special in the password), or leave it out for a file under DATA_DIR",
    "REDIS_URL": "redis://host:6379/0, or leave it out for a Redis of Tick's own under DATA_DIR",
    "DATA_DIR": "a folder for what Tick keeps, ./data unless you say otherwise",
    "FILES_URL": "a folder, or s3://bucket/prefix, or leave it out for a folder under DATA_DIR",
    "AWS_ACCESS_KEY_ID": "the name of a key to the bucket of FILES_URL; left out where the machine itself has access",
    "AWS_SECRET_ACCESS_KEY": "the secret of that key",
    "AWS_SESSION_TOKEN": "the session's token, where the key is a temporary one",
    "AWS_REGION": "the bucket's region, such as eu-central-1",
    "AWS_ENDPOINT_URL": "the address of an S3-compatible store that is not Amazon's, such as https://s3.example.com",
    "HOST": "the address to listen on: 127.0.0.1 for this machine alone, 0.0.0.0 for every network",
    "PORT": "a whole number from 1 to 65535, 5000 unless you say otherwise",
    "PUBLIC_URL": "the address at which Meta and agents reach Tick, such as https://desk.example.com",
    "TRUSTED_PROXIES": "addresses or networks of your reverse proxies, separated by commas, such as 10.0.0.0/8",
    "TICK_FLOW": "guided or instant",
    "DESK_FILE": "a TOML file with your issue types (.env.example shows one), or leave it out for Tick's own",
    "BURST_SECONDS": "seconds of quiet before a burst is answered, 0 to 3600",
    "RECEIPT_SECONDS": "least seconds between two receipts on one ticket, 0 to 86400",
    "DOUBT_SECONDS": "seconds to wait for news of a send in doubt, 1 to 3600",
    "QUIET_SECONDS": "seconds for which the bot is quiet after a person answered in the Business app, 0 to 86400",
    "LOG_LEVEL": "debug, info, warning or error",
    "LOG_FORMAT": "json or console; left out, console on a terminal and json elsewhere",
}  # fmt: skip


class SettingsError(OperatorError):
    """The settings can't be used. `lines` has one sentence for each problem."""

    exit_code = 2

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class StorageSettings(BaseSettings):
    """The settings of the commands that work on the database alone."""

    model_config = SettingsConfigDict(
        frozen=True, validate_default=False, env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    database_url: Annotated[SecretStr, validate_with(checks.check_database_url)] = SecretStr("")
    redis_url: Annotated[SecretStr, validate_with(checks.check_redis_url)] = SecretStr("")
    # Absolute, since what Tick starts may work in a folder of its own.
    data_dir: Annotated[Path, validate_with(), AfterValidator(Path.absolute)] = Field(
        Path("data"), validate_default=True
    )
    files_url: Annotated[str, validate_with(checks.check_files_url)] = ""
    aws_access_key_id: Annotated[SecretStr, validate_with(checks.check_secret)] = SecretStr("")
    aws_secret_access_key: Annotated[SecretStr, validate_with(checks.check_secret)] = SecretStr("")
    aws_session_token: Annotated[SecretStr, validate_with(checks.check_secret)] = SecretStr("")
    aws_region: Annotated[str, validate_with(checks.check_word)] = ""
    aws_endpoint_url: Annotated[str, validate_with(checks.check_web_url)] = ""
    log_level: Annotated[LogLevel, validate_with(checks.check_one_of(*get_args(LogLevel)))] = "info"
    log_format: Annotated[LogFormat, validate_with(checks.check_one_of("json", "console"))] = ""

    @property
    def database(self) -> str:
        """The database's URL: the one that is set, else a file under DATA_DIR."""
        return self.database_url.get_secret_value() or f"sqlite://{self.data_dir / 'tick.db'}"

    @property
    def redis(self) -> str:
        """The Redis server's URL; empty for the embedded one."""
        return self.redis_url.get_secret_value()

    @property
    def s3(self) -> S3Access:
        """The access to the bucket of FILES_URL."""
        return S3Access(
            self.aws_access_key_id.get_secret_value(),
            self.aws_secret_access_key.get_secret_value(),
            self.aws_session_token.get_secret_value(),
            self.aws_region,
            self.aws_endpoint_url,
        )

    @property
    def on_sqlite(self) -> bool:
        """Whether the database is SQLite, where one process alone may write."""
        return self.database.startswith("sqlite:")

    def list_secrets(self) -> list[str]:
        """Returns every secret value that is set, for the logs to hide."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return [
            value.get_secret_value() for value in values if isinstance(value, SecretStr) and value.get_secret_value()
        ]


class Settings(StorageSettings):
    """All settings, which `serve` and `worker` need. The four WhatsApp values have no default."""

    whatsapp_api_url: Annotated[str, validate_with(checks.check_graph_url)] = "https://graph.facebook.com/v25.0"
    whatsapp_phone_number_id: Annotated[str, validate_with(checks.check_digits)]
    whatsapp_access_token: Annotated[SecretStr, validate_with(checks.check_secret)]
    whatsapp_verify_token: Annotated[SecretStr, validate_with(checks.check_secret)]
    whatsapp_app_secret: Annotated[SecretStr, validate_with(checks.check_app_secret)]
    whatsapp_business_account_id: Annotated[str, validate_with(checks.check_digits)] = ""
    whatsapp_messages_per_second: Annotated[float, validate_with(checks.check_number(0, 10_000))] = 80.0
    host: Annotated[str, validate_with(checks.check_host)] = "127.0.0.1"
    port: Annotated[int, validate_with(checks.check_port)] = 5000
    public_url: Annotated[str, validate_with(checks.check_web_url)] = ""
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, validate_with(checks.check_networks)] = ()
    tick_flow: Annotated[Literal["guided", "instant"], validate_with(checks.check_one_of("guided", "instant"))] = (
        "guided"
    )
    desk_file: Annotated[DeskFile, NoDecode, validate_with(read_desk_file)] = NO_DESK_FILE
    burst_seconds: Annotated[float, validate_with(checks.check_number(0, 3600))] = 3.0
    receipt_seconds: Annotated[float, validate_with(checks.check_number(0, 86400))] = 600.0
    doubt_seconds: Annotated[float, validate_with(checks.check_number(1, 3600))] = 15.0
    quiet_seconds: Annotated[float, validate_with(checks.check_number(0, 86400))] = 1800.0


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
            kept = dotenv_values(config)
            if any(kept.get(name) for name in _list_secret_names(Settings)):
                return [f"{config} holds secrets and is open to every user of this machine: chmod 600 {config}"]
    except (OSError, UnicodeDecodeError):
        pass  # no such file; or one that build_settings finds unreadable, and says so
    return []


def _find_nothing_set(config: Path) -> list[str]:
    """Returns the problem that nothing at all is set: the file is in another folder, or is not there yet."""
    needed = [name.upper() for name, info in Settings.model_fields.items() if info.is_required()]
    given = any(os.environ.get(name) or os.environ.get(f"{name}_FILE") for name in needed)
    if given or config.exists():
        return []
    return [f"{config} is not in this folder: copy .env.example to {config} and fill it in, or start Tick where it is"]


def _find_misspelt_names(config: Path) -> list[str]:
    """Returns a problem for each name in the file that is nearly a setting's, and would be passed over in silence.

    Other names are the settings of other programs.
    """
    try:
        kept = dotenv_values(config)
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
        kept = dotenv_values(config)
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

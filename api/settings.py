"""Defines the operator's settings, each with its check and its default, and where an operator finds its value.

They are read in settings_loader.py, once, and frozen.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

from dotenv import dotenv_values
from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from api import settings_checks as checks
from api.desk_file import NO_DESK_FILE, DeskFile, read_desk_file
from api.server.client_address import Network
from api.settings_checks import validate_with
from storage.blobs.store import S3Access
from storage.errors import OperatorError

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["", "json", "console"]

WHERE = {  # to find the value of each variable, or what it may be
    "WHATSAPP_API_URL": "the Graph API with its version, https://graph.facebook.com/v25.0 unless you test another",
    "WHATSAPP_PHONE_NUMBER_ID": "App Dashboard > WhatsApp > API Setup > Phone number ID (not the phone number itself)",
    "WHATSAPP_ACCESS_TOKEN": "Business Settings > System users > Generate token, with the permissions "
    "whatsapp_business_messaging and whatsapp_business_management",
    "WHATSAPP_VERIFY_TOKEN": "make one up; enter it at App Dashboard > WhatsApp > Configuration > Verify token",
    "WHATSAPP_APP_SECRET": "App Dashboard > App settings > Basic > App secret",
    "WHATSAPP_APP_SECRET_OLD": "the app secret from before its change, while Meta may still sign with it",
    "WHATSAPP_BUSINESS_ACCOUNT_ID": "App Dashboard > WhatsApp > API Setup > WhatsApp Business Account ID",
    "WHATSAPP_MESSAGES_PER_SECOND": "what Meta lets your number send in a second: 80, 1000 after its upgrade (20 when "
    "the Business app shares the number); 0 leaves all limits to Meta",
    "DATABASE_URL": "mysql://user:password@host:3306/tick or sqlite:///path/to/tick.db (percent-encode "
    "what is special in the password; ?ssl=verify&ssl_ca=/path/to/ca.pem encrypts, ?ssl=true does so without looking "
    "at the certificate), or leave it out for a file under DATA_DIR",
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
    "ALLOWED_HOSTS": "hosts that desk and API answer to besides PUBLIC_URL's, separated by commas: desk.internal",
    "TRUSTED_PROXIES": "addresses or networks of your reverse proxies, separated by commas, such as 10.0.0.0/8",
    "TICK_FLOW": "guided or instant",
    "DESK_FILE": "a TOML file with your issue types (.env.example shows one), or leave it out for Tick's own",
    "BURST_SECONDS": "seconds of quiet before a burst is answered, 0 to 3600",
    "RECEIPT_SECONDS": "least seconds between two receipts on one ticket, 0 to 86400",
    "DOUBT_SECONDS": "seconds to wait for news of a send in doubt, 1 to 3600",
    "QUIET_SECONDS": "seconds for which the bot is quiet after a person answered in the Business app, 0 to 86400",
    "TAKEOVER_COUNTRY": "for `tick migrate`: the country of the original system's phone numbers without +, such as DE",
    "TAKEOVER_TIME_ZONE": "for `tick migrate`: the time zone of the original system's dates, such as Europe/Berlin",
    "CUSTOMER_FILES_MB_PER_DAY": "megabytes of files that one customer may have stored in a day, 1 to 1000000; what is "
    "beyond them waits at Meta until an agent asks for it",
    "LOG_LEVEL": "debug, info, warning or error",
    "LOG_FORMAT": "json or console; left out, console on a terminal and json elsewhere",
}  # fmt: skip


class SettingsError(OperatorError):
    """The settings can't be used. `lines` has one sentence for each problem."""

    exit_code = 2

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class ConfigFile(DotEnvSettingsSource):
    """Reads config.env without filling in `${...}`: a secret may hold it, and stays as it is written."""

    @staticmethod
    def _static_read_env_file(
        file_path: Path,
        *,
        encoding: str | None = None,
        case_sensitive: bool = False,
        ignore_empty: bool = False,
        parse_none_str: str | None = None,
    ) -> Mapping[str, str | None]:
        kept = read_config_file(file_path, encoding or "utf-8")
        return {name if case_sensitive else name.lower(): kept[name] for name in kept if kept[name] or not ignore_empty}


def read_config_file(config: Path, encoding: str = "utf-8") -> dict[str, str | None]:
    """Reads the variables of config.env as they are written; none where it isn't there. Raises OSError and
    UnicodeDecodeError."""
    return dotenv_values(config, interpolate=False, encoding=encoding)


class StorageSettings(BaseSettings):
    """The settings of the commands that work on the database alone."""

    model_config = SettingsConfigDict(
        frozen=True, validate_default=False, env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Has config.env read as it is written."""
        return init_settings, env_settings, ConfigFile(settings_cls, getattr(dotenv_settings, "env_file", None))

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
    takeover_country: Annotated[str, validate_with(checks.check_country)] = ""
    takeover_time_zone: Annotated[str, validate_with(checks.check_time_zone)] = ""
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

    @property
    def sqlite_file(self) -> Path | None:
        """The file of the SQLite database; None for MySQL."""
        return Path(self.database.removeprefix("sqlite://")) if self.on_sqlite else None

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
    whatsapp_app_secret_old: Annotated[SecretStr, validate_with(checks.check_app_secret)] = SecretStr("")
    whatsapp_business_account_id: Annotated[str, validate_with(checks.check_digits)] = ""
    whatsapp_messages_per_second: Annotated[float, validate_with(checks.check_number(0, 10_000))] = 80.0
    host: Annotated[str, validate_with(checks.check_host)] = "127.0.0.1"
    port: Annotated[int, validate_with(checks.check_port)] = 5000
    public_url: Annotated[str, validate_with(checks.check_public_url)] = ""
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, validate_with(checks.check_hosts)] = ()
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, validate_with(checks.check_networks)] = ()
    tick_flow: Annotated[Literal["guided", "instant"], validate_with(checks.check_one_of("guided", "instant"))] = (
        "guided"
    )
    desk_file: Annotated[DeskFile, NoDecode, validate_with(read_desk_file)] = NO_DESK_FILE
    burst_seconds: Annotated[float, validate_with(checks.check_number(0, 3600))] = 3.0
    receipt_seconds: Annotated[float, validate_with(checks.check_number(0, 86400))] = 600.0
    doubt_seconds: Annotated[float, validate_with(checks.check_number(1, 3600))] = 15.0
    quiet_seconds: Annotated[float, validate_with(checks.check_number(0, 86400))] = 1800.0
    customer_files_mb_per_day: Annotated[float, validate_with(checks.check_number(1, 1_000_000))] = 500.0

    def list_app_secrets(self) -> list[str]:
        """Returns the app secrets that webhooks may be signed with: today's, and the old one while it is set."""
        given = (self.whatsapp_app_secret.get_secret_value(), self.whatsapp_app_secret_old.get_secret_value())
        return [secret for secret in dict.fromkeys(given) if secret]

"""Makes the settings of `tick demo`: the service's own, with everything that names another system replaced.

Invariants
- The demo reaches nothing of the real service: not its database, Redis, files or number, whatever is set for it.
- It listens on 127.0.0.1 alone and keeps everything under DATA_DIR/demo.
"""

from pathlib import Path

from pydantic import SecretStr

from api.demo.secrets import FILE_NAME, load_demo_secrets
from api.settings import Settings, StorageSettings
from api.settings_loader import CONFIG_FILE, build_settings

DEMO_PHONE_NUMBER_ID = "100000000000001"
DEMO_BUSINESS_ACCOUNT_ID = "200000000000002"
OWN_STORAGE = {"database_url": SecretStr(""), "redis_url": SecretStr("")}


def find_demo_folder(config: Path = CONFIG_FILE) -> Path:
    """Returns where the demo keeps everything; it may not be there. DATA_DIR may name it, as for the other commands.

    Raises SettingsError when DATA_DIR can't be used.
    """
    data_dir = build_settings(StorageSettings, config, given=OWN_STORAGE).data_dir
    return data_dir if has_demo(data_dir) else data_dir / "demo"


def has_demo(folder: Path) -> bool:
    """Whether a demo has been started that keeps everything in this folder."""
    return (folder / FILE_NAME).exists()


def load_demo_settings(config: Path = CONFIG_FILE) -> Settings:
    """Returns the demo's settings, before it is known which port is free: see `replace_port`.

    Raises SettingsError when DATA_DIR, or one of the settings that the demo does not replace, can't be used.
    """
    folder = find_demo_folder(config)
    secrets = load_demo_secrets(folder)
    own_meta = {
        "whatsapp_api_url": _make_simulator_url(0),
        "whatsapp_phone_number_id": DEMO_PHONE_NUMBER_ID,
        "whatsapp_business_account_id": DEMO_BUSINESS_ACCOUNT_ID,
        "whatsapp_access_token": SecretStr(secrets.access_token),
        "whatsapp_verify_token": SecretStr(secrets.verify_token),
        "whatsapp_app_secret": SecretStr(secrets.app_secret),
    }
    own_machine = {"data_dir": folder, "host": "127.0.0.1", "public_url": "", "files_url": "", "trusted_proxies": ()}
    return build_settings(Settings, config, given=OWN_STORAGE | own_meta).model_copy(update=own_machine)


def replace_port(settings: Settings, port: int) -> Settings:
    """Returns these settings for a demo that listens on `port`, where its simulator is the Graph API as well."""
    return settings.model_copy(update={"port": port, "whatsapp_api_url": _make_simulator_url(port)})


def _make_simulator_url(port: int) -> str:
    return f"http://127.0.0.1:{port}/simulator/graph/v25.0"

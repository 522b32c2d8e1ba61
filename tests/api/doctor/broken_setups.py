"""Set-ups that are broken in one place each, and what the doctor has to name first.

In the settings, `{name}` stands for an address of the tests' servers: see `places` in test_doctor.py. None leaves a
setting out.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from api.simulator.faults import Fault
from tests.api.doctor.reverse_proxy import Certificate
from tests.api.doctor.working_setup import ACCOUNT_ID, APP_SECRET, NUMBER_ID, PHONE

MESSAGING, MANAGEMENT = "whatsapp_business_messaging", "whatsapp_business_management"


@dataclass(frozen=True)
class Broken:
    """A broken set-up. `first`: the check that has to fail first; `reason`, `fix`: words that have to be in them.

    `at_meta`: what is set otherwise at Meta. `front`: what stands before `target`, a port of the world. `sql`: what is
    done to the MariaDB before, and to undo it. `warns`: it works so far, and hides nothing else.
    """

    name: str
    first: str
    reason: str
    fix: str
    settings: dict[str, str | None] = field(default_factory=dict)
    at_meta: dict[str, Any] = field(default_factory=dict)
    front: str = ""
    target: str = "tick"
    certificate: Certificate | None = None
    sql: tuple[str, str] = ("", "")
    mode: int = 0o600  # of the file of settings
    seconds: float = 5.0  # how long the doctor waits for an answer
    warns: bool = False


def break_setting(name: str, kind: str, value: str | None, words: str) -> Broken:
    """Makes a set-up in which one setting has this value."""
    return Broken(f"{name} {kind}", f"settings {name}", f"{name} {words}", "App Dashboard", {name: value})


SETTINGS = [
    break_setting("WHATSAPP_APP_SECRET", "left out", None, "is missing"),
    break_setting("WHATSAPP_APP_SECRET", "blank", "'  '", "is blank"),
    break_setting("WHATSAPP_APP_SECRET", "with spaces", "' canary-app-secret '", "has spaces around its value"),
    break_setting("WHATSAPP_VERIFY_TOKEN", "with quotes", "'\"canary-verify\"'", "has quotes around its value"),
    break_setting("WHATSAPP_VERIFY_TOKEN", "placeholder", "changeme", "still has a placeholder"),
    break_setting("WHATSAPP_PHONE_NUMBER_ID", "of another kind", "+1 555 canary", "is not an id of digits alone"),
    break_setting("WHATSAPP_PHONE_NUMBER_ID", "placeholder", "your_phone_number_id", "still has a placeholder"),
    Broken("settings open to all", "settings", "is open to every user of this machine", "Chmod 600", mode=0o644),
    Broken("a name misspelt", "settings", "perhaps PUBLIC_URL was meant", "Meta and agents reach", {"PUBLIC_ULR": "x"}),
    Broken(
        "a desk file that is not there",
        "settings DESK_FILE",
        "/nowhere/desk.toml, which is not there.",
        "Create it",
        {"DESK_FILE": "/nowhere/desk.toml"},
    ),
    Broken(
        "a path behind the version",
        "settings WHATSAPP_API_URL",
        "has a path behind the version, which must go",
        "The Graph API with its version",
        {"WHATSAPP_API_URL": "https://graph.facebook.com/v25.0/106540352242922"},
    ),
    Broken("a port that is none", "settings PORT", "PORT is not a port", "from 1 to 65535", {"PORT": "canary"}),
]

MYSQL: dict[str, str | None] = {"DATABASE_URL": "{mariadb}"}
BUCKET: dict[str, str | None] = {
    "FILES_URL": "s3://bucket/prefix",
    "AWS_ENDPOINT_URL": "{front}",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "AKIDcanary",
    "AWS_SECRET_ACCESS_KEY": "kitchen-cupboard",
}
HERE = [
    Broken("database away", "database", "can't be reached", "running at that host and port",
           {"DATABASE_URL": "mysql://tick:kitchen-cupboard@127.0.0.1:1/tick"}),
    Broken("database password", "database", "refuses the user or the password", "Percent-encode",
           {"DATABASE_URL": "mysql://tick:kitchen-cupboard@127.0.0.1:{mariadb_port}/tick_1"}),
    Broken("database not there", "database", "no database of the name", "CREATE DATABASE",
           {"DATABASE_URL": "{mariadb}x"}),
    Broken("database no database", "database", "can't be used as a database", "Name another file",
           {"DATABASE_URL": "sqlite://{file}"}),
    Broken("database not encrypted", "database", "offers no encryption", "leave ssl out of DATABASE_URL",
           {"DATABASE_URL": "{mariadb}?ssl=true"}),
    Broken("authorities not there", "database", "the ssl_ca of DATABASE_URL, can't be read", "No such file",
           {"DATABASE_URL": "{mariadb}?ssl=verify&ssl_ca={nowhere}"}),
    Broken("database with a parameter", "settings DATABASE_URL", "that Tick doesn't know", "encrypts",
           {"DATABASE_URL": "{mariadb}?charset=latin1"}),
    Broken("data in a file", "database", "is no folder", "DATA_DIR", {"DATABASE_URL": "sqlite://{file}/tick.db"}),
    Broken("migrations missing", "migrations", "0001_initial", "tick migrate", {"DATABASE_URL": "{empty_mariadb}"}),
    Broken("an original that waits", "migrations", "tickets are not all taken over yet", "Run `tick migrate`", MYSQL,
           sql=("CREATE TABLE {name}.tickets (id INT PRIMARY KEY, description TEXT, issue_type TEXT, status TEXT, "
                "created_at DATETIME)", "DROP TABLE {name}.tickets")),
    Broken("a newer version's database", "migrations", "has the migration 9999_tomorrow", "or restore a backup", MYSQL,
           sql=("INSERT INTO {name}.tortoise_migrations (app, name, applied_at) "
                "VALUES ('models', '9999_tomorrow', NOW())",
                "DELETE FROM {name}.tortoise_migrations WHERE name = '9999_tomorrow'")),
    Broken("a database that went back", "history", "03:14 UTC: It went back.", "docs/BACKUP.md says", MYSQL,
           sql=("INSERT INTO {name}.alert (subject, severity, message, raised_at, said_at) "
                "VALUES ('database:went_back', 'yellow', 'It went back. docs/BACKUP.md says what to look at.', "
                "1772594040000, 1772594040000)",
                "DELETE FROM {name}.alert WHERE subject = 'database:went_back'"), warns=True),
    Broken("database latin1", "database_text", "latin1", "CHARACTER SET utf8mb4", MYSQL,
           sql=("ALTER DATABASE {name} CHARACTER SET latin1", "ALTER DATABASE {name} CHARACTER SET utf8mb4")),
    Broken("a table latin1", "database_text", "Columns of ticket are not utf8mb4", "ALTER TABLE `ticket`", MYSQL,
           sql=("ALTER TABLE {name}.ticket ADD COLUMN spare VARCHAR(9) CHARACTER SET latin1",
                "ALTER TABLE {name}.ticket DROP COLUMN spare")),
    Broken("connections latin1", "database_text", "init_connect sets new connections to latin1", "out of init_connect",
           MYSQL, sql=("SET GLOBAL init_connect='SET NAMES latin1'", "SET GLOBAL init_connect=''")),
    Broken("a table that takes nothing back", "database_tables", "Not in the engine InnoDB: counter", "ENGINE=InnoDB",
           MYSQL, sql=("ALTER TABLE {name}.counter ENGINE=Aria", "ALTER TABLE {name}.counter ENGINE=InnoDB")),
    Broken("packets too small", "database_packets", "max_allowed_packet is 1048576", "max_allowed_packet=16M", MYSQL,
           sql=("SET GLOBAL max_allowed_packet=1048576", "SET GLOBAL max_allowed_packet=67108864")),
    Broken("commits not on disk", "database_packets", "innodb_flush_log_at_trx_commit is 2", "trx_commit=1", MYSQL,
           sql=("SET GLOBAL innodb_flush_log_at_trx_commit=2", "SET GLOBAL innodb_flush_log_at_trx_commit=1"),
           warns=True),
    Broken("redis away", "redis", "can't be reached", "REDIS_URL", {"REDIS_URL": "redis://127.0.0.1:1/0"}),
    Broken("redis password", "redis", "refuses the user or the password", "requirepass",
           {"REDIS_URL": "redis://:kitchen-cupboard@127.0.0.1:{locked_redis_port}/0"}),
    Broken("redis wants a password", "redis", "refuses the user or the password", "requirepass",
           {"REDIS_URL": "redis://127.0.0.1:{locked_redis_port}/0"}),
    Broken("redis evicts", "redis", "may throw keys away", "noeviction",
           {"REDIS_URL": "redis://127.0.0.1:{evicting_redis_port}/0"}),
    Broken("files in a file", "files", "is no folder", "DATA_DIR", {"FILES_URL": "{file}/files"}),
    Broken("bucket missing", "files", "does not exist at this store", "Create it", BUCKET, front="no_bucket"),
    Broken("bucket away", "files", "does not answer", "AWS_ENDPOINT_URL", BUCKET | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}),
    Broken("half of a key to the bucket", "files", "set without the other", "Set both",
           BUCKET | {"AWS_ACCESS_KEY_ID": None}),
    Broken("a verify token that is a password", "weak_settings", "is the same as AWS_SESSION_TOKEN", "Make up another",
           {"AWS_SESSION_TOKEN": "canary-verify-token"}, warns=True),
    Broken("settings that the group reads", "weak_settings", "can be read by other users", "Chmod 600", mode=0o640,
           warns=True),
    Broken("silence", "webhooks_lately", "No webhook has come for 4 days; the longest silence before was 6 hours",
           "Write to the number", {"DATABASE_URL": "sqlite://{quiet}"}, warns=True),
]  # fmt: skip

AT_META = [
    Broken("Meta away", "graph_api", "refuses the connection", "port 443",
           {"WHATSAPP_API_URL": "http://127.0.0.1:1/v25.0"}),
    Broken("clock", "clock", "seconds ahead of Meta's", "time synchronisation",
           {"WHATSAPP_API_URL": "{front}/simulator/graph/v25.0"}, front="late", target="meta"),
    Broken("token invalid", "access_token", "is invalid", "Generate token", at_meta={"token_state": "invalid"}),
    Broken("token expired", "access_token", "has expired", "expiry Never", at_meta={"token_state": "expired"}),
    Broken("token expiring", "access_token", "expiring: it is good for another 3 hours", "expiry Never",
           at_meta={"token_expires_at": time.time() + 3.1 * 3600}, warns=True),
    Broken("another token", "access_token", "is invalid", "Generate token",
           {"WHATSAPP_ACCESS_TOKEN": "EAAcanaryofanotherapp0123456789"}),
    Broken("app secret of another app", "app_secret", "is not the secret of the app", "App settings > Basic",
           {"WHATSAPP_APP_SECRET": "canary-of-another-app-0123456789"}),
    Broken("may not send", "permissions", f"lacks the permission {MESSAGING}.", MESSAGING,
           at_meta={"scopes": {MANAGEMENT}}),
    Broken("may not manage", "permissions", f"lacks the permission {MANAGEMENT}.", MANAGEMENT,
           at_meta={"scopes": {MESSAGING}}),
    Broken("WABA id for number id", "phone_number_id", "id of a WhatsApp Business Account (a WABA id)",
           f"WHATSAPP_PHONE_NUMBER_ID={NUMBER_ID}", {"WHATSAPP_PHONE_NUMBER_ID": ACCOUNT_ID}),
    Broken("phone number for its id", "phone_number_id", "is the phone number itself",
           f"WHATSAPP_PHONE_NUMBER_ID={NUMBER_ID}", {"WHATSAPP_PHONE_NUMBER_ID": PHONE}),
    Broken("number id unknown", "phone_number_id", "no id that Meta knows", f"WHATSAPP_PHONE_NUMBER_ID={NUMBER_ID}",
           {"WHATSAPP_PHONE_NUMBER_ID": "999999999999999"}),
    Broken("number id for WABA id", "business_account_id", "is the id of the number",
           f"WHATSAPP_BUSINESS_ACCOUNT_ID={ACCOUNT_ID}", {"WHATSAPP_BUSINESS_ACCOUNT_ID": NUMBER_ID}),
    Broken("WABA id unknown", "business_account_id", "no id that Meta knows",
           f"WHATSAPP_BUSINESS_ACCOUNT_ID={ACCOUNT_ID}", {"WHATSAPP_BUSINESS_ACCOUNT_ID": "999999999999999"}),
    Broken("version expired", "graph_version", "v20.0 of the Graph API expired on 2026-09-24", "v25.0",
           {"WHATSAPP_API_URL": "{graph}/v20.0"}),
    Broken("version answered by another", "graph_version", "answers with v26.0", "WHATSAPP_API_URL",
           at_meta={"served_version": "v26.0"}),
    Broken("another callback", "callback_at_meta", "Meta calls https://old.example/hook", "Callback URL",
           at_meta={"callback_url": "https://old.example/hook"}),
    Broken("an override", "callback_at_meta", "the number has an address of its own", "override_callback_uri",
           at_meta={"override_callback_url": "https://old.example/hook"}),
    Broken("no messages", "webhook_fields", "`messages` is not subscribed", "subscribe to messages",
           at_meta={"webhook_fields": {"account_update"}}),
    Broken("no webhooks", "callback_at_meta", "No callback URL", "Callback URL", at_meta={"webhook_fields": set()}),
    Broken("app not subscribed", "app_subscription", "not subscribed", 'Bearer $WHATSAPP_ACCESS_TOKEN" http',
           at_meta={"subscribed_apps": False}),
    Broken("not registered", "number", "is not registered", "register", at_meta={"registered": False}),
    Broken("restricted", "number", "RESTRICTED", "WhatsApp Manager", at_meta={"number_status": "RESTRICTED"},
           warns=True),
    Broken("banned", "number", "The number is BANNED: it is banned.", "WhatsApp Manager",
           at_meta={"number_status": "BANNED"}),
    Broken("limited", "restrictions", "is limited in what it sends, because of its phone number", "accountquality",
           at_meta={"health": "LIMITED"}, warns=True),
    Broken("blocked", "restrictions", "can't send at all, because of its phone number: The account is banned.",
           "Appeal the ban.",
           at_meta={"health": "BLOCKED", "health_errors": [{"error_code": 141014,
                    "error_description": "The account is banned.", "possible_solution": "Appeal the ban."}]}),
    Broken("name declined", "display_name", "not approved (declined)", "another name",
           at_meta={"name_status": "DECLINED"}),
    Broken("quality", "quality", "is red", "WhatsApp Manager", at_meta={"quality": "RED"}, warns=True),
    Broken("an old app secret", "old_app_secret", "signed with it. It has not been needed since the Tick at",
           "Remove it once Meta signs with the new one", {"WHATSAPP_APP_SECRET_OLD": "canary-old-app-secret"},
           warns=True),
    Broken("an old app secret of today", "old_app_secret", "is the same as WHATSAPP_APP_SECRET", "Remove it",
           {"WHATSAPP_APP_SECRET_OLD": APP_SECRET}, warns=True),
    Broken("no Graph API there", "access_token", "", "see what answers at WHATSAPP_API_URL",
           {"WHATSAPP_API_URL": "{front}/v25.0"}, front="not_found"),
]  # fmt: skip

FRONT: dict[str, str | None] = {"PUBLIC_URL": "{front}"}
BLIND: dict[str, str | None] = FRONT | {"PORT": "{other_port}", "REDIS_URL": "{redis}", "TRUSTED_PROXIES": "127.0.0.1"}
WAY_IN = [
    Broken("not running", "server", "Tick is not running", "tick serve", {"PORT": "{free_port}", "PUBLIC_URL": None}),
    Broken("another program", "server", "Another program than Tick", "set PORT",
           {"PORT": "{meta_port}", "PUBLIC_URL": None}),
    Broken("name not found", "callback", "no-such.invalid", "DNS", {"PUBLIC_URL": "https://no-such.invalid"}),
    Broken("refused", "callback", "refuses the connection", "reverse proxy or the tunnel",
           {"PUBLIC_URL": "https://127.0.0.1:1"}),
    Broken("self-signed", "tls", "it is self-signed", "public authority", FRONT, certificate=Certificate()),
    Broken("expired", "tls", "it has expired", "public authority", FRONT, certificate=Certificate("localhost", -9, -2)),
    Broken("another host's", "tls", "made out to another name than localhost", "certificate for localhost", FRONT,
           certificate=Certificate("other.example")),
    Broken("no TLS", "tls", "does not speak TLS", "serve TLS on this port", {"PUBLIC_URL": "https://127.0.0.1:{tick_port}"}),
    Broken("silent", "callback_answer", "no answer came in time", "reverse proxy", FRONT, front="silent", seconds=1.0),
    Broken("404", "callback_answer", "404 Not Found", "pass this path on", FRONT, front="not_found"),
    Broken("a tunnel's page", "callback_answer", "titled 'You are about to visit a tunnel'", "tunnel's warning", FRONT,
           front="page"),
    Broken("moved", "callback_answer", "redirected to https://elsewhere.example/login (HTTP 301)", "where it ends",
           FRONT, front="moved"),
    Broken("502", "callback_answer", "does not reach Tick behind it (HTTP 502)", "pass requests on", FRONT,
           front="gateway"),
    Broken("something else", "callback_answer", "HTTP 200, and not by Tick", "in front", FRONT, front="strange"),
    Broken("verify token", "verify_token", "403 Webhook verification failed", "Restart `tick serve`",
           {"WHATSAPP_VERIFY_TOKEN": "canary-newer-token"}),
    Broken("another Tick", "verify_token", "another verify token", "PUBLIC_URL leads to another Tick",
           {"PUBLIC_URL": "{other}"}),
    Broken("app secret at the server", "signed_webhook", "the running Tick has another app secret",
           "Restart `tick serve`", {"WHATSAPP_APP_SECRET": "canary-changed-0123456789abcdef"},
           {"app_secret": "canary-changed-0123456789abcdef"}),
    Broken("body rewritten", "signed_webhook", "something in between changes the body", "byte by byte", FRONT,
           front="rewrite"),
    Broken("POST blocked", "signed_webhook", "titled 'Blocked by the firewall' (HTTP 403)", "pass POST on", FRONT,
           front="no_post"),
    Broken("proxy not trusted", "proxies", "a proxy at 127.0.0.1 that is not trusted", "TRUSTED_PROXIES=127.0.0.1",
           FRONT, front="pass"),
    Broken("trusted too far", "proxies", "passed on an address that the doctor had made up", "out of TRUSTED_PROXIES",
           BLIND | {"PUBLIC_URL": "{other}", "WHATSAPP_VERIFY_TOKEN": "canary-other-token"}),
    Broken("a proxy that passes lies on", "proxies", "Anybody can pose as anybody",
           "add who connects to it to X-Forwarded-For", BLIND | {"WHATSAPP_VERIFY_TOKEN": "canary-other-token"},
           front="blind", target="other"),
    Broken("trusted: everybody", "proxies", "0.0.0.0/0", "reverse proxies alone", {"TRUSTED_PROXIES": "0.0.0.0/0"}),
    Broken("no worker", "worker", "No worker is alive", "tick worker",
           BLIND | {"WHATSAPP_VERIFY_TOKEN": "canary-other-token"}, front="pass", target="other"),
]  # fmt: skip

# The last case once more where Redis can't be asked, so that the server has to say it.
WAY_IN.append(
    Broken(
        "no worker, by the server",
        "worker",
        "No worker is alive",
        "tick worker",
        BLIND | {"WHATSAPP_VERIFY_TOKEN": "canary-other-token", "REDIS_URL": None, "DATA_DIR": "{nowhere}"},
        front="pass",
        target="other",
    )
)

# Unusual, and nothing that needs fixing: what is set, what Meta says once, and the words of a check.
RIGHT: list[tuple[dict[str, str | None], dict[str, Any], list[Fault], str, str]] = [
    ({}, {}, [], "restrictions", "Meta lets it send."),
    ({"WHATSAPP_BUSINESS_ACCOUNT_ID": None}, {}, [], "business_account_id", f"It is {ACCOUNT_ID}, by the token"),
    ({}, {"verified_name": "Test Number", "name_status": "NONE"}, [], "display_name", "needs no approval"),
    ({}, {"token_expires_at": time.time() + 40 * 86_400}, [], "access_token", "It is valid until"),
    ({}, {"require_proof": True, "quality": "YELLOW"}, [], "quality", "yellow"),
    ({}, {}, [Fault(then="code", code=100, where="account")], "phone_number_id", PHONE),
]

ALL = SETTINGS + HERE + AT_META + WAY_IN

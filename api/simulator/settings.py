"""Defines what the simulator needs to know; api/demo and the tests fill it in."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """Where the simulator keeps its chats and files (`folder`), and which webhook it calls (`webhook_url`: the
    service's). `graph_url`: its own Graph API with the version, for the links in webhooks. `keep_requests`: for tests,
    every call to the Graph API is kept in `Simulator.requests`."""

    folder: Path
    webhook_url: str
    app_secret: str
    access_token: str
    phone_number_id: str
    display_phone_number: str
    graph_url: str = ""
    waba_id: str = "102290129340398"
    app_id: str = "3465092943791563"
    business_name: str = "Tick Support"
    sent_after_seconds: float = 0.05
    delivered_after_seconds: float = 0.15
    keep_requests: bool = False

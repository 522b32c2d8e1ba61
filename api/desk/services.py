"""Builds what the desk's pages need besides `api.services`, once a process, and finds it for a request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quart import Quart, current_app

from api.desk.forms import FormMemory
from api.desk.known_places import KnownPlaces
from api.desk.page_renderer import PageRenderer
from api.desk.passwords import PasswordChecker
from api.desk.sessions import Sessions
from api.desk.sign_in_throttle import SignInThrottle
from api.desk.static_files import StaticFile, read_static_files
from api.doctor.endpoint import Doctor
from api.server.client_address import Network
from bot.clock import Clock

EXTENSION = "tick.desk"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskServices:
    """What the routes of the desk call. `trusted_proxies`: whose X-Forwarded-For counts."""

    sessions: Sessions
    renderer: PageRenderer
    static_files: Mapping[str, StaticFile]
    passwords: PasswordChecker
    throttle: SignInThrottle
    known_places: KnownPlaces
    form_memory: FormMemory
    doctor: Doctor
    trusted_proxies: Sequence[Network]


def make_desk_services(
    *,
    sessions: Sessions,
    doctor: Doctor,
    clock: Clock,
    app_secrets: Sequence[str],
    trusted_proxies: Sequence[Network] = (),
) -> DeskServices:
    """Builds the desk's services of one process."""
    return DeskServices(
        sessions=sessions,
        renderer=PageRenderer(),
        static_files=read_static_files(),
        passwords=PasswordChecker(),
        throttle=SignInThrottle(clock),
        known_places=KnownPlaces(app_secrets),
        form_memory=FormMemory(),
        doctor=doctor,
        trusted_proxies=trusted_proxies,
    )


def add_desk_services(app: Quart, built: DeskServices) -> None:
    """Gives an application the desk's services, for `desk_services`."""
    app.extensions[EXTENSION] = built


def desk_services() -> DeskServices:
    """Finds the desk's services of the application that answers this request."""
    found: DeskServices = current_app.extensions[EXTENSION]
    return found

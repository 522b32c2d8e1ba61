"""A phone number and a business-scoped user id are told apart, in whichever field they stand."""

import pytest

from bot.whatsapp.addresses import Addresses, is_bsuid, read_addresses

PHONE, BSUID = "15550001111", "US.13491208655302741918"


def test_the_look_of_a_user_id() -> None:
    assert all(map(is_bsuid, (BSUID, "BR.x", "US.ENT.1", "US." + "1" * 128)))
    assert not any(map(is_bsuid, ("", PHONE, "us.1", "US.", "USA.1", "US.1 ", "US.1\n", "US." + "1" * 129)))


@pytest.mark.parametrize(
    ("phone", "bsuid", "addresses"),
    [
        (PHONE, BSUID, Addresses(PHONE, BSUID)),
        (f"+{PHONE}", None, Addresses(PHONE, "")),
        (BSUID, None, Addresses("", BSUID)),
        (BSUID, "US.2", Addresses("", "US.2")),
        (None, "a0b1", Addresses("", "a0b1")),
        ("", "", Addresses("", "")),
        (15550001111, [BSUID], Addresses(PHONE, "")),
        (15550001111, 1349, Addresses(PHONE, "1349")),
        (True, False, Addresses("", "")),
        (1555.5, -1349, Addresses("", "")),
        (-15550001111, None, Addresses("", "")),
        ("+1 555", "US 1", Addresses("", "")),
    ],
)
def test_a_pair_of_fields(phone: object, bsuid: object, addresses: Addresses) -> None:
    assert read_addresses(phone, bsuid) == addresses

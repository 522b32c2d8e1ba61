"""One person, two forms of their number: for looking them up, and for nothing else."""

import pytest

from bot.phones import find_country, is_country, list_phone_variants, read_local_phone, read_phone


@pytest.mark.parametrize(
    ("digits", "also"),
    [
        ("5541988887777", "554188887777"),  # Brazil's ninth digit came later
        ("554188887777", "5541988887777"),
        ("554133334444", ""),  # a landline never had it
        ("5541933334444", ""),
        ("5215555550123", "525555550123"),  # Mexico's old mark of a mobile
        ("525555550123", "5215555550123"),
        ("5491155550123", "541155550123"),  # Argentina's mark: without it the number may be a landline
        ("541155550123", ""),
        ("16505550123", ""),
        ("5500", ""),
        ("", ""),
    ],
)
def test_the_other_form_of_a_number(digits: str, also: str) -> None:
    assert list_phone_variants(digits) == ((digits, also) if also else (digits,))


@pytest.mark.parametrize(
    ("typed", "digits"),
    [
        ("+1 650-555-0123", "16505550123"),
        ("+52 1 55 5555 0123", "5215555550123"),
        ("+55 (41) 98888-7777", "5541988887777"),
        ("\u202a+1 650 555 0123\u202c", "16505550123"),  # as address books have it copied
        ("\ufeff+1\u200b650\u00ad555\u20600123", "16505550123"),
        ("+1\u00a0650\u202f555\u20070123\u3000", "16505550123"),
        ("+1 650\u2011555\u20130123", "16505550123"),
        ("+1 650\u2212555\u20140123", "16505550123"),
        ("\uff0b1 650 555 0123", "16505550123"),
        ("\uff0b\uff11\uff16\uff15\uff10\uff0d\uff15\uff15\uff15\uff0d\uff10\uff11\uff12\uff13", "16505550123"),
        ("\u00a016505550123", None),
        ("\u200b", None),
        ("16505550123", None),
        ("+1 650-555-0123 ext. 4", None),
        ("+999 1234567", None),
        ("+12", None),
        ("+1650555012345678", None),
        ("+1650555o123", None),
        ("+١٦٥٠٥٥٥٠١٢٣", None),
    ],
)
def test_a_typed_number(typed: str, digits: str | None) -> None:
    assert read_phone(typed) == digits


@pytest.mark.parametrize(
    ("typed", "country", "digits"),
    [
        ("+49 171 5550001", "US", "491715550001"),
        ("0049 171 5550001", "US", "491715550001"),
        ("650-555-0123", "US", "16505550123"),
        ("5550001234", "US", "15550001234"),  # no area has this code, and the length is right
        ("15550001234", "US", "15550001234"),
        ("6235550123", "US", "16235550123"),  # Indonesia has it too, but this is how Americans write
        ("5550123", "US", None),  # in which area?
        ("911", "US", None),
        ("0171 5550001", "DE", "491715550001"),
        ("0171\u00a05550\u20110001\u200f", "DE", "4917155500001"),
        ("1715550001", "DE", "491715550001"),
        ("491715550001", "DE", "491715550001"),  # as WhatsApp's ids are
        ("33612345678", "DE", None),  # there are such numbers in both countries
        ("33612345678", "US", "33612345678"),
        ("447700900123", "GB", "447700900123"),
        ("07700 900123", "GB", "447700900123"),
        ("(11) 95550-1234", "BR", "5511955501234"),
        ("12345", "DE", None),
        ("call me", "DE", None),
        ("0171 5550001 ext. 4", "DE", None),
        ("", "DE", None),
        ("+", "DE", None),
        ("0171 5550001", "", None),
    ],
)
def test_a_number_without_its_country(typed: str, country: str, digits: str | None) -> None:
    assert read_local_phone(typed, country) == digits


def test_the_country_of_a_number() -> None:
    assert [find_country(number) for number in ("+1 555-078-3881", "+49 171 5550001", "171", "")] == [
        "US",
        "DE",
        "",
        "",
    ]
    assert [is_country(code) for code in ("DE", "de", "XX", "")] == [True, False, False, False]

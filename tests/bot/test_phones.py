"""One person, two forms of their number: for looking them up, and for nothing else."""

import pytest

from bot.phones import list_phone_variants, read_phone


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

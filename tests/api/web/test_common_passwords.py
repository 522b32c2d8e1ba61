"""Which passwords are tried first, and which only look alike."""

import pytest

from api.web.common_passwords import is_common


@pytest.mark.parametrize(
    "password",
    ["Password1234", "password!2025", "P@ssw0rd1234", "@dm1n1str@t0r", "Welcome-2026!!", "123456789012", "qwertyuiop12",
     "1q2w1q2w1q2w", "aaaaaaaaaaaa", "abcabcabcabc", "abcdefghijkl", "987654321098", "Summer 2026 !!", "letmein123456",
     "passwordpassword", "PASSWORD    1234", "iloveyou2024!", "asdfghjkl;'#", "administrator", "WhatsApp12345",
     "correct horse battery staple", "111111111111111111111111", "a1b2c3d4e5f6g7"],
)  # fmt: skip
def test_tried_first(password: str) -> None:
    assert is_common(password)


@pytest.mark.parametrize(
    "password",
    ["correct horse battery", "tangerine-ladder-9", "password of my grandmother", "Xk7-wq9-Lm2v", "summer in Lisbon",
     "mein Fahrrad ist grün", "пароль из трёх слов", "qwerty is a bad one", "Ada&Charles&1843"],
)  # fmt: skip
def test_taken(password: str) -> None:
    assert not is_common(password)

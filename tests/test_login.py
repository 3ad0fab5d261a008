"""web.login: who is the operator, for how long, and how often one may guess."""

from __future__ import annotations

import pytest

from errors import LockedOutError, WrongPasswordError
from web.login import SESSION_SECONDS, Operators

PASSWORD = "暗号 correct-horse"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def operators(clock: Clock) -> Operators:
    return Operators(PASSWORD, clock)


def guess(operators: Operators, address: str, times: int) -> None:
    for _ in range(times):
        with pytest.raises(WrongPasswordError):
            operators.log_in("wrong", address)


def test_the_password_opens_a_session_that_ends_with_the_log_out(operators: Operators) -> None:
    token = operators.log_in(PASSWORD, "10.0.0.1")
    assert operators.knows(token)
    operators.log_out(token)
    assert not operators.knows(token)


def test_a_session_ends_after_eight_hours(operators: Operators, clock: Clock) -> None:
    token = operators.log_in(PASSWORD, "10.0.0.1")
    clock.now += SESSION_SECONDS - 1
    assert operators.knows(token)
    clock.now += 1
    assert not operators.knows(token)


@pytest.mark.parametrize(
    "password", ["", "暗号 correct-hors", f"{PASSWORD} ", "\ud800", "x" * 9999]
)
def test_any_other_password_is_wrong(operators: Operators, password: str) -> None:
    with pytest.raises(WrongPasswordError) as caught:
        operators.log_in(password, "10.0.0.1")
    assert caught.value.user_message == "密码不对，请重新输入。"


@pytest.mark.parametrize("token", ["", "guess", "\ud800"])
def test_no_token_is_known_that_was_not_given(operators: Operators, token: str) -> None:
    operators.log_in(PASSWORD, "10.0.0.1")
    assert not operators.knows(token)


def test_tokens_differ_and_hold_256_bits(operators: Operators) -> None:
    tokens = {operators.log_in(PASSWORD, "10.0.0.1") for _ in range(20)}
    assert len(tokens) == 20
    assert all(len(token) >= 43 for token in tokens)


def test_after_five_wrong_passwords_even_the_right_one_waits_a_minute(
    operators: Operators, clock: Clock
) -> None:
    guess(operators, "10.0.0.1", 5)
    clock.now += 20
    with pytest.raises(LockedOutError) as caught:
        operators.log_in(PASSWORD, "10.0.0.1")
    assert caught.value.retry_after == 40
    assert "40 秒后再试" in caught.value.user_message
    clock.now += 40
    assert operators.log_in(PASSWORD, "10.0.0.1")


def test_others_are_not_locked_out(operators: Operators) -> None:
    guess(operators, "10.0.0.1", 5)
    assert operators.log_in(PASSWORD, "10.0.0.2")


def test_a_right_password_forgives_the_wrong_ones(operators: Operators) -> None:
    guess(operators, "10.0.0.1", 4)
    operators.log_in(PASSWORD, "10.0.0.1")
    guess(operators, "10.0.0.1", 4)


def test_what_is_remembered_is_bounded(operators: Operators) -> None:
    for number in range(10_050):
        guess(operators, f"address {number}", 1)
    first = operators.log_in(PASSWORD, "10.0.0.1")
    for _ in range(100):
        last = operators.log_in(PASSWORD, "10.0.0.1")
    assert not operators.knows(first)
    assert operators.knows(last)


def test_without_a_password_there_is_no_operator() -> None:
    with pytest.raises(ValueError, match="empty password"):
        Operators("")

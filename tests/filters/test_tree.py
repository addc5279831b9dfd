"""A filter that makes no sense is refused where it is written, with what was expected there."""

from __future__ import annotations

import math
from datetime import date, datetime, timezone
from decimal import Decimal

import numpy as np
import pytest

from minisearch.errors import InputError
from minisearch.filters import And, Before, Contains, Extension, Field, Filter, Language, Not, Or, Path, Since


@pytest.mark.parametrize("condition", [Path, Extension, Language, Contains])
@pytest.mark.parametrize("given", [None, 3, b"md", ["md"], datetime(2024, 1, 1), Extension("md")])
def test_what_should_be_a_text_is_one(condition, given):
    with pytest.raises(InputError, match=rf"{condition.__name__}: expected a text, got "):
        condition(given)


@pytest.mark.parametrize("condition", [Since, Before])
@pytest.mark.parametrize("given", [None, "2024", "2024-01-01", 1_700_000_000, date(2024, 1, 1)])
def test_a_moment_is_a_datetime_and_the_error_shows_one(condition, given):
    with pytest.raises(InputError) as error:
        condition(given)
    message = str(error.value)
    assert message.startswith(
        f"{condition.__name__}: expected a datetime such as datetime(2024, 1, 31), got "
    )
    assert message.endswith(repr(given))


@pytest.mark.parametrize("given", [None, (), ["a"], date(2024, 1, 1), Decimal(1), 1j, np.int64(3), b"x"])
def test_a_field_is_compared_with_a_text_a_number_or_a_truth_value(given):
    with pytest.raises(InputError, match=r"author = .*: expected a text, a number, True or False"):
        Field("author", "=", given)


@pytest.mark.parametrize("given", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_a_field_is_not_compared_with_what_is_no_finite_number(given):
    with pytest.raises(InputError, match=r"year < .*: expected a finite number"):
        Field("year", "<", given)


@pytest.mark.parametrize("operator", ["like", "", "==", "CONTAINS", None, 3, ["="]])
def test_an_unknown_comparison_is_refused_with_those_there_are(operator):
    with pytest.raises(InputError, match="expected one of = != < <= > >= contains, got "):
        Field("a", operator, "x")


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">=", "contains"])
def test_a_truth_value_is_equal_or_not(operator):
    with pytest.raises(InputError, match=f"draft {operator} True: true and false take only = and !="):
        Field("draft", operator, True)


@pytest.mark.parametrize("name", [None, 3, b"author"])
def test_the_name_of_a_field_is_a_text(name):
    with pytest.raises(InputError, match="Field: expected the name of a field, a text, got "):
        Field(name, "=", "x")


@pytest.mark.parametrize("part", ["x = 1", None, ("a",), Extension])
@pytest.mark.parametrize(
    "join",
    [
        Not,
        lambda part: And((Extension("md"), part)),
        lambda part: Or((part,)),
        lambda part: Extension("md") & part,
        lambda part: Extension("md") | part,
    ],
)
def test_only_conditions_are_joined(join, part):
    with pytest.raises(InputError, match=r"expected a condition of minisearch\.filters, got "):
        join(part)


@pytest.mark.parametrize("join", [And, Or])
@pytest.mark.parametrize("given", [None, Extension("md"), [Extension("md")], "md"])
def test_the_parts_of_a_condition_are_a_tuple(join, given):
    with pytest.raises(InputError, match=f"{join.__name__}: expected a tuple of conditions, got "):
        join(given)


def test_an_error_shows_only_the_beginning_of_what_was_given():
    with pytest.raises(InputError) as error:
        Path(["x" * 100_000])
    assert len(str(error.value)) < 200


def test_what_makes_sense_is_kept_as_it_was_given():
    moment = datetime(2024, 1, 31, tzinfo=timezone.utc)
    assert Since(moment).moment is moment
    assert Field("", "contains", 10**5_000).value == 10**5_000
    assert Field("year", "=", np.float64(1.5)).value == 1.5
    assert Path("").pattern == ""
    assert And(()).parts == Or(()).parts == ()
    either: Filter = Path("a") & Extension("md") | ~Contains("x")
    assert either == Or((And((Path("a"), Extension("md"))), Not(Contains("x"))))

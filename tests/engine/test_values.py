"""Values behave as the standard library's frozen dataclasses do, of which they are the cheap part."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbmatch.engine import values


def classes(library: Any) -> tuple[type, type]:
    """The same two classes, made by one library or the other."""

    @library.dataclass(frozen=True, slots=True, order=True)
    class Point:
        x: int
        y: int = 2
        seen: dict[str, int] = library.field(default_factory=dict, compare=False)
        name: str = library.field(default="p", repr=False)

    @library.dataclass(frozen=True, slots=True, order=True)
    class Point3(Point):
        z: int = 0

        def __post_init__(self) -> None:
            if self.z < 0:
                raise ValueError("below")

    return Point, Point3


OURS, OURS3 = classes(values)
THEIRS, THEIRS3 = classes(dataclasses)
NUMBERS = st.integers(-2, 2)


@values.dataclass(frozen=True, slots=True)
class Kept:
    """At module level, so that pickle finds it."""

    a: int
    b: tuple[int, ...] = ()


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_comparing_and_hashing_agree_with_the_standard_library(a: int, b: int, c: int, d: int) -> None:
    one, two = OURS(a, b), OURS(c, d)
    first, second = THEIRS(a, b), THEIRS(c, d)
    assert (one == two) == (first == second)
    assert (one < two, one <= two, one > two, one >= two) == (
        first < second,
        first <= second,
        first > second,
        first >= second,
    )
    assert len({one, two}) == len({first, second})
    assert one != OURS3(a, b)
    assert one.__lt__(OURS3(a, b)) is NotImplemented


def test_the_text_and_the_fields_agree_with_the_standard_library() -> None:
    assert repr(OURS3(1, z=4)) == repr(THEIRS3(1, z=4))
    assert OURS3.__match_args__ == THEIRS3.__match_args__
    assert OURS3.__slots__ == THEIRS3.__slots__ == ("z",)
    assert [f.name for f in dataclasses.fields(OURS3)] == [f.name for f in dataclasses.fields(THEIRS3)]
    assert dataclasses.asdict(OURS3(1)) == dataclasses.asdict(THEIRS3(1))
    assert dataclasses.is_dataclass(OURS)


def test_a_field_left_out_takes_part_in_no_comparison() -> None:
    assert OURS(1, seen={"a": 1}) == OURS(1, seen={"b": 2})
    assert hash(OURS(1, seen={"a": 1})) == hash(OURS(1))


def test_each_instance_has_a_factory_value_of_its_own() -> None:
    assert OURS(1).seen is not OURS(1).seen


def test_a_value_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        OURS(1).x = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        del OURS(1).x
    with pytest.raises(AttributeError):
        OURS(1).unknown = 3


@pytest.mark.parametrize("wrong", [(), (1, 2, {}, "n", 5)])
def test_wrong_arguments_are_refused(wrong: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="__init__"):
        OURS(*wrong)
    with pytest.raises(TypeError, match="unknown"):
        OURS(1, unknown=1)


def test_post_init_is_called_on_every_way_to_an_instance() -> None:
    with pytest.raises(ValueError, match="below"):
        OURS3(1, z=-1)
    with pytest.raises(ValueError, match="below"):
        values.replace(OURS3(1), z=-1)
    with pytest.raises(ValueError, match="below"):
        dataclasses.replace(OURS3(1), z=-1)


def test_replace_changes_what_it_is_told_and_refuses_the_rest() -> None:
    assert values.replace(OURS(1, 5), x=2) == OURS(2, 5)
    with pytest.raises(TypeError, match="nothing"):
        values.replace(OURS(1), nothing=2)


def test_values_can_be_copied_and_pickled() -> None:
    kept = Kept(1, (2, 3))
    assert copy.deepcopy(kept) == kept
    assert pickle.loads(pickle.dumps(kept)) == kept


def test_classes_without_slots_are_refused() -> None:
    with pytest.raises(TypeError, match="slots=True"):
        values.dataclass(frozen=True)(type("Plain", (), {}))


def test_importing_values_costs_neither_dataclasses_nor_inspect() -> None:
    said = "import sys; import kbmatch.engine.signature; print(sorted({'inspect', 'dataclasses'} & set(sys.modules)))"
    found = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {said}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "[]"

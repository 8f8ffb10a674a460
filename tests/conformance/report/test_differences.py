from __future__ import annotations

import pytest

from conformance.report.differences import Part, compare_texts


def marked(parts: tuple[Part, ...]) -> list[str]:
    return [part.text for part in parts if part.differs]


@pytest.mark.parametrize(
    ("expected", "observed", "left", "right"),
    [
        ("[1., 2., 3.]", "[1., 2., 4.]", ["3."], ["4."]),
        ("[1., 2.]", "[ 1.,  2.0]", [], []),
        ("2.0", "2", [], []),
        ("[nan, inf]", "[nan, -inf]", ["inf"], ["-inf"]),
        ("[1.e-05, 2.]", "[1e-5, 3.]", ["2."], ["3."]),
        ("[1.+2.j]", "[1.-2.j]", [], []),  # the parts of a complex number are not told apart
        ("float64[2, 3] [1, …]", "float64[3, 2] [1, …]", ["2", "3"], ["3", "2"]),
        ("[1., 2.]", "[1.]", [], []),
        ("[1., 2.]", "None", [], []),
        ("True", "False", [], []),
        ("x1", "x2", [], []),
        ("", "", [], []),
    ],
)
def test_only_numbers_that_differ_are_marked(
    expected: str, observed: str, left: list[str], right: list[str]
) -> None:
    a, b = compare_texts(expected, observed)
    assert (marked(a), marked(b)) == (left, right)


@pytest.mark.parametrize("text", ["[1., 2., 3.]", "raised ValueError: 3 is not 4", "", "a\nb 1"])
def test_the_text_itself_is_never_changed(text: str) -> None:
    for other in ("[1., 5., 3.]", text, "something else"):
        a, b = compare_texts(text, other)
        assert "".join(part.text for part in a) == text
        assert "".join(part.text for part in b) == other

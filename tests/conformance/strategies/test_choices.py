from __future__ import annotations

from conformance.strategies.choices import Choices


def test_zero_bytes_and_no_bytes_choose_the_simplest() -> None:
    for data in (b"", bytes(20)):
        choices = Choices(data)
        assert choices.pick("abc") == "a"
        assert choices.between(3, 7) == 3
        assert choices.flag() is False
        assert choices.below(9) == 0
        assert choices.seed() == 0


def test_bytes_are_read_in_order() -> None:
    choices = Choices(bytes([1, 5, 3, 1, 2]))
    assert choices.pick("abc") == "b"
    assert choices.between(2, 4) == 2 + 5 % 3
    assert choices.flag() is True
    assert choices.seed() == 258


def test_a_part_takes_its_width_whatever_is_read_of_it() -> None:
    data = bytes([7, 8, 9, 10, 11])
    for used in (0, 1, 5):
        choices = Choices(data)
        part = choices.part(3)
        read = [part.byte() for _ in range(used)]
        assert read == [7, 8, 9, 0, 0][:used]
        assert choices.byte() == 10

"""Inference mode, and what may be done with the tensors made in it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import assert_values, counting, standing


def inference(torch: Any, n: int = 2) -> Any:
    with torch.inference_mode():
        return torch.ones(n)


def test_inference_mode_turns_recording_off_and_says_so(torch: Any) -> None:
    assert not torch.is_inference_mode_enabled()
    with torch.inference_mode():
        assert torch.is_inference_mode_enabled()
        assert not torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()


def test_inference_mode_of_false_lifts_it_inside(torch: Any) -> None:
    x = counting(torch, 2)
    with torch.inference_mode():
        with torch.inference_mode(False):
            y = x * 2
            made = torch.ones(2)
        assert torch.is_inference_mode_enabled()
    assert y.requires_grad
    assert not made.is_inference()


def test_inference_mode_decorates_functions_and_generators(torch: Any) -> None:
    @torch.inference_mode()
    def once() -> Any:
        return torch.ones(2)

    @torch.inference_mode
    def bare() -> Any:
        return torch.ones(2)

    @torch.inference_mode()
    def several() -> Any:
        yield torch.ones(2)

    assert [t.is_inference() for t in (once(), bare(), *several())] == [True] * 3
    assert not torch.is_inference_mode_enabled()


def test_tensors_made_in_inference_mode_are_inference_tensors_for_good(torch: Any) -> None:
    x = counting(torch, 2)
    with torch.inference_mode():
        y, leaf = x * 2, torch.ones(2, requires_grad=True)
    assert y.is_inference()
    assert leaf.is_inference()
    assert standing(y) == (False, True, False)
    assert standing(leaf) == (True, True, False)
    assert not x.is_inference()


def test_inference_tensors_count_no_versions(torch: Any) -> None:
    c = inference(torch)
    with pytest.raises(RuntimeError):
        _ = c._version
    with torch.inference_mode():
        c.add_(1)
    assert_values(c, [2.0, 2.0])


def test_inference_tensors_cannot_be_written_outside(torch: Any) -> None:
    c = inference(torch)
    for write in (lambda: c.add_(1), lambda: c.zero_(), lambda: c.__setitem__(0, 1.0)):
        with pytest.raises(RuntimeError):
            write()
    with torch.no_grad(), pytest.raises(RuntimeError):
        c.mul_(2)
    # PyTorch has written by the time it refuses: what is promised is the error
    if torch.__name__ == "reference_engine":
        assert_values(c, [1.0, 1.0])


def test_inference_tensors_cannot_be_saved_for_backward(torch: Any) -> None:
    x, c = counting(torch, 2), inference(torch)
    with pytest.raises(RuntimeError):
        x * c
    with pytest.raises(RuntimeError):
        x / c


def test_inference_tensors_are_fine_where_nothing_of_them_is_saved(torch: Any) -> None:
    x, c = counting(torch, 2), inference(torch)
    (x + c - c).sum().backward()
    assert_values(x.grad, [1.0, 1.0])
    assert not (c * c).requires_grad


def test_what_is_computed_of_inference_tensors_outside_is_ordinary(torch: Any) -> None:
    c = inference(torch)
    y = c * 2
    assert not y.is_inference()
    assert y._version == 0
    y.add_(1)
    assert_values(y, [3.0, 3.0])


def test_a_clone_outside_takes_part_in_autograd(torch: Any) -> None:
    x, c = counting(torch, 2), inference(torch).clone()
    assert not c.is_inference()
    (x * c).sum().backward()
    assert_values(x.grad, [1.0, 1.0])
    assert c.requires_grad_().requires_grad


def test_requires_grad_cannot_be_asked_of_inference_tensors_outside(torch: Any) -> None:
    c = inference(torch)
    with pytest.raises(RuntimeError):
        c.requires_grad_()
    with torch.inference_mode():
        assert c.requires_grad_().requires_grad


def test_views_of_inference_tensors_are_inference_and_no_views(torch: Any) -> None:
    c = inference(torch, 4)
    v = c[:2]
    assert v.is_inference()
    assert not v._is_view()
    assert v.data_ptr() == c.data_ptr()
    assert c.detach().is_inference()


def test_views_of_ordinary_tensors_are_ordinary_views_in_inference_mode(torch: Any) -> None:
    x = torch.zeros(4)
    with torch.inference_mode():
        v = x[:2]
        v.add_(1)
    assert not v.is_inference()
    assert v._is_view()
    assert v._base is x
    assert x._version == 1


def test_a_view_made_inside_cannot_be_written_outside_with_gradients(torch: Any) -> None:
    y = counting(torch, 2) * 2
    with torch.inference_mode():
        v = y[:1]
    with pytest.raises(RuntimeError):
        v.mul_(2)
    with torch.no_grad():
        v.mul_(2)
    assert_values(y, [4.0, 4.0])


def test_ordinary_tensors_can_be_written_inside_and_their_versions_count(torch: Any) -> None:
    x, y = counting(torch, 2), counting(torch, 2) * 2
    z = y.exp()
    with torch.inference_mode():
        x.add_(1)
        z.add_(1)
    assert (x._version, z._version) == (1, 1)
    assert standing(x) == (True, True, False)
    with pytest.raises(RuntimeError):
        z.sum().backward()


def test_an_in_place_result_inside_keeps_the_tensors_history(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 2
    with torch.inference_mode():
        same = y.add_(1)
    assert same is y
    assert standing(y) == (True, False, True)
    y.sum().backward()
    assert_values(x.grad, [2.0, 2.0])


def test_backward_may_run_inside_and_leaves_an_inference_gradient(torch: Any) -> None:
    x = counting(torch, 2)
    y = (x * 2).sum()
    with torch.inference_mode():
        y.backward()
    assert x.grad.is_inference()
    assert_values(x.grad, [2.0, 2.0])
    z = (x * 3).sum()
    with pytest.raises(RuntimeError):
        z.backward(retain_graph=True)
    with torch.inference_mode():
        before = x.grad.clone()  # 2, or in PyTorch, which had written when it refused, 5
        z.backward()
    assert x.grad.is_inference()
    assert_values(x.grad - before, [3.0, 3.0])


def test_in_place_inside_mixes_ordinary_and_inference_operands(torch: Any) -> None:
    c, y = inference(torch), torch.zeros(2)
    y.add_(c)
    assert not y.is_inference()
    with torch.inference_mode():
        c.mul_(y)
        c.add_(torch.ones(2))
    assert_values(c, [2.0, 2.0])


def test_an_ordinary_result_written_with_an_inference_operand_stays_tracked(torch: Any) -> None:
    x, c = counting(torch, 2), inference(torch)
    y = x * 2
    y.add_(c)
    with pytest.raises(RuntimeError):
        y.mul_(c)
    y.sum().backward()
    assert_values(x.grad, [2.0, 2.0])


def test_enable_grad_inside_does_not_record(torch: Any) -> None:
    x = counting(torch, 2)
    with torch.inference_mode(), torch.enable_grad():
        assert torch.is_grad_enabled()
        y = x * 2
    assert y.is_inference()
    assert not y.requires_grad


def test_no_grad_inside_and_around_does_not_lift_inference_mode(torch: Any) -> None:
    with torch.no_grad(), torch.inference_mode(), torch.no_grad():
        assert torch.is_inference_mode_enabled()
        assert torch.ones(2).is_inference()


def test_detach_of_an_ordinary_tensor_inside_is_ordinary_and_shares_its_version(torch: Any) -> None:
    x = torch.zeros(2)
    with torch.inference_mode():
        d = x.detach()
        d.add_(1)
    assert not d.is_inference()
    assert x._version == 1


def test_data_in_inference_mode_is_what_the_tensor_is(torch: Any) -> None:
    x = torch.zeros(2)
    with torch.inference_mode():
        assert torch.zeros(2).data.is_inference()
        data = x.data
        assert not data.is_inference()
    assert_values((counting(torch, 2) * data).detach(), [0.0, 0.0])  # it can be saved

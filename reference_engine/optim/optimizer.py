"""What optimizers have in common: groups of parameters, state, saving and loading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from reference_engine.modes import enable_grad, no_grad
from reference_engine.nn.module import clear_grad
from reference_engine.tensor import Tensor


class Optimizer:
    """Updates parameters from their gradients; subclasses define how, in ``step``, or how one
    parameter moves, in ``_update``.

    ``params`` are tensors, or dictionaries of ``params`` with settings of their own. Raises
    ValueError for no parameters, non-leaves and parameters given twice, TypeError for what is no
    tensor.
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError("params must be an iterable of tensors or dictionaries, got one Tensor")
        self.defaults = defaults
        self.state: dict[Tensor, dict[str, Any]] = {}
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError(f"{type(self).__name__} got no parameters")
        if not isinstance(groups[0], Mapping):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Adds parameters with settings of their own; missing ones take the defaults."""
        given = param_group["params"]
        params = [given] if isinstance(given, Tensor) else list(given)
        known = {p for group in self.param_groups for p in group["params"]}
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"an optimizer updates tensors, got {type(p).__name__}")
            if not p.is_leaf:
                raise ValueError("an optimizer updates leaves, got a tensor that was computed")
            if p in known:
                raise ValueError("a parameter is in more than one group")
        if len(set(params)) != len(params):
            raise ValueError("a group has a parameter twice")
        self.param_groups.append({**self.defaults, **param_group, "params": params})

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients, or with ``set_to_none=False`` sets those there are to zero."""
        for group in self.param_groups:
            for p in group["params"]:
                clear_grad(p, set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Moves every parameter that has a gradient; ``closure`` computes the loss anew, and is
        returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        grad = -p.grad if group.get("maximize") else p.grad
                        self._update(p, grad, group, self.state.setdefault(p, {}))
        return loss

    def _update(
        self, p: Tensor, grad: Tensor, group: dict[str, Any], state: dict[str, Any]
    ) -> None:
        """Moves one parameter against ``grad``, with its group's settings and its own state."""
        raise NotImplementedError(
            f"{type(self).__name__} does not say how parameters move; define step(closure=None), "
            "or _update(p, grad, group, state) for one parameter"
        )

    # state ----------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """Settings and state, with parameters numbered in the order of the groups."""
        numbers: dict[Tensor, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                numbers.setdefault(p, len(numbers))
            settings = {k: v for k, v in group.items() if k != "params"}
            groups.append({**settings, "params": [numbers[p] for p in group["params"]]})
        return {
            "state": {numbers[p]: dict(s) for p, s in self.state.items() if s},
            "param_groups": groups,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over copies of a state; ValueError when its groups have other sizes."""
        saved = state_dict["param_groups"]
        mine = [len(g["params"]) for g in self.param_groups]
        theirs = [len(g["params"]) for g in saved]
        if mine != theirs:
            raise ValueError(
                f"the state has groups of {theirs} parameters, the optimizer of {mine}"
            )
        order = [p for group in self.param_groups for p in group["params"]]
        numbers = [n for group in saved for n in group["params"]]
        places = dict(zip(numbers, order, strict=True))
        self.state = {
            places[n]: {k: _fitted(k, v, places[n]) for k, v in values.items()}
            for n, values in state_dict["state"].items()
        }
        for group, other in zip(self.param_groups, saved, strict=True):
            group.update({k: v for k, v in other.items() if k != "params"})


def _fitted(name: str, value: Any, p: Tensor) -> Any:
    """A saved value for parameter ``p``: tensors are copied, and take its dtype, apart from step
    counts.
    """
    if not isinstance(value, Tensor):
        return value
    kept = value.detach().clone()
    return kept if name == "step" else kept.to(p.dtype)

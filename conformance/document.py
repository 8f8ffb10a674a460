"""The specification as a document: Markdown made from the clauses, for `docs/specification.md`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator

from conformance.example import example
from conformance.program import Program
from conformance.spec import FILES, Clause, Theme, clauses, themes
from conformance.spec.sources import OWN_REASONING
from conformance.verdict import Level

_INTRODUCTION = """\
# The behaviour of autograd engines: a specification

<!-- Made from conformance/spec by `spec --markdown`; a test keeps them equal. -->

A library for automatic differentiation promises more than right derivative formulas. It promises
that gradients add up over several passes, that a graph which was freed is not walked again, that a
value which a derivative needs cannot be overwritten unnoticed, that what is computed in `no_grad`
is a constant. Where such a promise is broken, programs mostly run on and train something else than
they say. This document writes the promises down: {clauses} numbered clauses in {themes} themes;
{must} of them are demands (they say *must*), {should} are recommendations (they say *should*;
no run fails for them). They describe what PyTorch does where that is documented or plainly
intended, in words that hold for any engine.

Every clause can be executed. Its *scenarios* are small programs with exact figures. For most
clauses further programs are *generated* and judged by independent oracles: another engine in
float64, finite differences, algebraic identities. An engine is asked only for what its adapter
offers: a clause that needs more is *unsupported*, not violated. The line below an example says what
the clause needs, by the names of an adapter's methods and their parameters
([adapters.md](adapters.md)), and which generator makes its further programs; `variations` are its
scenarios with other numbers.

```sh
autograd-conformance run --engine torch --engine reference   # every clause, with a report
autograd-conformance run --engine torch --select {sample}      # one clause
autograd-conformance spec {sample}                             # one clause, with its scenarios
```

A report says of every clause how the engine fared: the clause {sample} has its result at
`reports/<engine>.html#{sample}`.

## Words

- **Leaf**: a tensor made by the user, not by a recorded operation. **Intermediate tensor**: the
  result of a recorded operation. **Tracked**: requiring gradients.
- **Recorded**: part of the graph that backward walks. **Saved**: kept by a recorded operation
  because its derivative needs it.
- **Root**: the tensor from which backward starts; **cotangent**: the gradient that it is given
  there, a one where the root has a single element and none is given.
- **Stored gradient**: what backward leaves on a tensor, `.grad` in PyTorch. **Gradients asked for
  as a result**: those that are returned instead, by `torch.autograd.grad` in PyTorch.
- **Refused**: answered by an error of the engine's own, whatever its type. An error is *owed* where
  a clause says that something must be refused; elsewhere an error is itself a violation.
- **View**: a tensor that shows another's memory, its **base**'s. **In place**: writing into a
  tensor's memory, by operations whose names end in `_`. **Version**: how often the memory was
  written in place, `._version` in PyTorch.
- **Tangent**: in forward mode, the derivative of a tensor along one direction, carried beside it.

Examples are in PyTorch's spelling and run as they stand.
"""


def markdown() -> str:
    """Return the whole specification as one Markdown document."""
    rows = clauses()
    must = sum(row.level is Level.MUST for row in rows)
    head = _INTRODUCTION.format(
        clauses=len(rows),
        themes=len(themes()),
        must=must,
        should=len(rows) - must,
        sample=rows[0].id,
    )
    parts = [head, "## Themes\n", "\n".join(_contents()) + "\n"]
    for theme in themes():
        parts += _theme(theme)
    return "\n".join(parts)


def _contents() -> Iterator[str]:
    for theme in themes():
        first, last = theme.clauses[0].id, theme.clauses[-1].id
        yield f"- [{theme.title}](#{_anchor(theme)}): {first} to {last}"


def _anchor(theme: Theme) -> str:
    return theme.name.replace("_", "-")


def _theme(theme: Theme) -> Iterator[str]:
    yield f'<a id="{_anchor(theme)}"></a>\n\n## {theme.title}\n'
    purposes = tuple(_purposes(theme))
    sign = "- " if len(purposes) > 1 else ""
    yield "\n".join(sign + purpose for purpose in purposes) + "\n"
    for row in theme.clauses:
        yield _clause(row)


def _purposes(theme: Theme) -> Iterator[str]:
    """Yield what the files of the theme say of themselves."""
    for name in FILES:
        module = importlib.import_module(f"conformance.spec.{name}")
        if theme is module.THEME:
            yield inspect.cleandoc(module.__doc__ or "").partition("\n\n")[0]


def _clause(row: Clause) -> str:
    lines = [
        f'<a id="{row.id.lower()}"></a>\n',
        f"### {row.id}\n",
        f"**{row.title}**\n",
        f"{row.why} ({_source(row)})\n",
    ]
    shown = example(row)
    if shown is None:
        command = f"autograd-conformance spec {row.id}"
        lines.append(f"Its programs are too long for a page; `{command}` prints them.\n")
    else:
        lines.append(f"```python\n{shown[0]}```\n")
    lines.append(f"<sub>{_facts(row)}</sub>\n")
    return "\n".join(lines)


def _source(row: Clause) -> str:
    return row.source if row.source == OWN_REASONING else f"[source]({row.source})"


def _facts(row: Clause) -> str:
    count = len(row.scenarios)
    facts = [row.level.value, f"{count} scenario{'s' if count > 1 else ''}"]
    if row.generated:
        names = dict.fromkeys(name.removesuffix(f".{row.id}") for name in row.generated)
        facts.append("generated programs: " + ", ".join(f"`{name}`" for name in names))
    needs = sorted(row.needs.union(_common(row.scenarios)) - {"backward", "grad"})
    if needs:
        facts.append("needs " + ", ".join(f"`{name}`" for name in needs))
    return " · ".join(facts)


def _common(scenarios: tuple[Program, ...]) -> frozenset[str]:
    """Return what every scenario needs: without it the clause is not asked at all."""
    return frozenset.intersection(*(program.needs for program in scenarios))

"""Shared causes: violations of several clauses that one missing or wrong feature explains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from conformance.verdict import ClauseResult, Kind, Violation

Key = tuple[str, ...]


def shared_key(violation: Violation) -> Key | None:
    """Return what violations with one cause have in common; None where too little is known.

    The operation to blame and the kind; or, where no operation is to blame, the words of a refusal,
    without the step at which it came.
    """
    if violation.operation is not None:
        return violation.kind.value, violation.operation
    if violation.kind is Kind.REFUSED_LOUDLY:
        return violation.cause, violation.message.partition("`: ")[2]
    return None


def sharing(results: Iterable[ClauseResult]) -> list[list[ClauseResult]]:
    """Group violated clauses: each with those whose violations all have causes of its own.

    The first of a group is the one to show. A clause without violations is a group of itself.
    """
    groups: list[tuple[set[Key | None], list[ClauseResult]]] = []
    for result in results:
        keys = {shared_key(violation) for violation in result.violations}
        for known, members in groups:
            if keys and None not in keys and keys <= known:
                members.append(result)
                break
        else:
            groups.append((keys, [result]))
    return [members for _, members in groups]


def sharing_words(others: Sequence[str]) -> str:
    """Return the sentence that names clauses with the same cause."""
    named = ", ".join(others[:8]) + (", …" if len(others) > 8 else "")
    return f"{len(others) + 1} clauses share this cause, also {named}"

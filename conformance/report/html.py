"""HTML pages from ledgers: one file each, with nothing fetched from anywhere."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from conformance.ledger import SCHEMA, Ledger, short_name
from conformance.report.comparison import comparison
from conformance.report.model import engine_view, oracle_words
from conformance.report.outcomes import BY_KEY, OUTCOMES
from conformance.report.triaged import Triage

_NONE: Mapping[str, str] = MappingProxyType({})
_UNTRIAGED: Mapping[str, Triage] = MappingProxyType({})


def render_engine(ledger: Ledger, index: str | None = None, triage: Triage | None = None) -> str:
    """Return the page of one engine; `index` is the link to the page that compares engines.

    triage: what has been recorded of the engine; the defects behind its violations are named.
    """
    view = engine_view(ledger)
    styles = ("base.css", "engine.css")
    return render("engine.html", styles, view=view, index=index, triage=triage or Triage())


def render_index(
    ledgers: Sequence[Ledger],
    absent: Mapping[str, str] = _NONE,
    triage: Mapping[str, Triage] = _UNTRIAGED,
) -> str:
    """Return the page that compares engines; it links to the pages that `write_reports` writes.

    absent: engines that have no ledger, and why. triage: what has been recorded of engines.
    """
    view = comparison(ledgers, triage)
    return render("index.html", ("base.css", "index.css"), view=view, absent=absent)


def render_specification(ledgers: Sequence[Ledger]) -> str:
    """Return the page that reads as a document: every sentence with its result on each engine."""
    styles = ("base.css", "specification.css")
    return render("specification.html", styles, view=comparison(ledgers))


def render(template: str, styles: tuple[str, ...], **context: object) -> str:
    """Return a page: a template, its style sheets in order, and what it shows."""
    script = _source("report.js")
    return (
        _environment()
        .get_template(template)
        .render(
            **context,
            outcomes=OUTCOMES,
            outcome=BY_KEY,
            schema=SCHEMA,
            styles=[Markup(_source(name)) for name in styles],
            script=Markup(script),
            policy=_policy(script),
        )
    )


def _policy(script: str) -> str:
    """Return a content security policy: no network at all, and no script but the page's own.

    Messages come from engines; should one ever slip through escaping, it still would not run.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("conformance.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    environment.filters["ulp"] = _ulp
    environment.filters["short_name"] = short_name
    environment.filters["linked"] = _linked
    environment.filters["oracle"] = oracle_words
    environment.filters["prose"] = _prose
    environment.filters["breakable"] = _breakable
    return environment


@cache
def _source(name: str) -> str:
    loader = _environment().loader
    assert loader is not None
    text, _, _ = loader.get_source(_environment(), name)
    return text.replace("\r\n", "\n").strip()


def _ulp(error: float) -> str:
    """Return an error in units in the last place, short."""
    if error == 0:
        return "exact"
    if error < 100:
        return f"{error:.2g} ulp"
    return f"{error:,.0f} ulp" if error < 1e6 else f"{error:.1e} ulp".replace("e+", "e")


def _linked(url: str) -> bool:
    """Tell whether a clause's source may become a link: pages only, never `javascript:`."""
    return url.startswith(("https://", "http://")) and not any(c.isspace() for c in url)


def _breakable(name: str) -> Markup:
    """Allow a line break after the punctuation of an engine's name, and nowhere else."""
    return Markup(re.sub(r"([\[,.:])", r"\1<wbr>", str(escape(name))))


def _prose(text: str) -> Markup:
    """Escape a sentence; what stands in `backticks` becomes code."""
    return Markup(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(escape(text))))

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from conformance.ledger import Ledger, ledger_from_json
from conformance.report import render_engine, render_index
from conformance.report.comparison import page_names
from conformance.report.html import render_specification
from tests.sample_ledgers import ALL, EMPTY, FAULTY, GOOD, SILENT, clause, ledger, violated

VOID = {"meta", "link", "input", "br", "wbr", "img"}


class Page(HTMLParser):
    """The parts of a page that tests ask about; fails on tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif not self.open or self.open[-1] != "style":
            self.text += data

    def values(self, name: str, tag: str | None = None) -> list[str]:
        return [v for t, n, v in self.attributes if n == name and tag in (None, t)]


PAGES = {
    **{f"engine {item.engine.name}": render_engine(item) for item in (*ALL, EMPTY)},
    "engine with index": render_engine(FAULTY, "index.html"),
    "index": render_index(ALL),
    "index of one": render_index([GOOD]),
    "index of none": render_index([]),
    "specification": render_specification(ALL),
}
each_page = pytest.mark.parametrize("name", PAGES)


@each_page
def test_a_page_is_well_formed_and_its_ids_are_unique(name: str) -> None:
    page = Page(PAGES[name])
    assert PAGES[name].startswith("<!doctype html>")
    assert [i for i, n in Counter(page.values("id")).items() if n > 1] == []
    fragments = {h[1:] for h in page.values("href") if h.startswith("#")}
    assert fragments <= set(page.values("id"))


@each_page
def test_a_page_fetches_nothing(name: str) -> None:
    page = Page(PAGES[name])
    assert page.values("src") == []
    assert all(h.startswith(("#", "data:")) for h in page.values("href", "link"))
    assert all(h.startswith("#") for h in page.values("href", "use"))
    assert "@import" not in PAGES[name]
    assert "url(" not in PAGES[name]


@each_page
def test_only_the_page_s_own_script_may_run(name: str) -> None:
    page = Page(PAGES[name])
    (script,) = page.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [p for p in page.values("content") if p.startswith("default-src")]
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    assert [n for _, n, _ in page.attributes if n.startswith("on")] == []


@each_page
def test_rendering_again_gives_the_same_bytes(name: str) -> None:
    again = {"index": lambda: render_index(ALL), "engine torch": lambda: render_engine(GOOD)}
    if name in again:
        assert again[name]() == PAGES[name]
    assert "0x" not in re.sub(r"data:\S+", "", PAGES[name])


def test_text_from_an_engine_is_shown_and_never_becomes_markup() -> None:
    page = Page(PAGES["engine tinytape"])
    assert page.tags["script"] == 1
    assert page.tags["img"] == 0
    assert "<script>document.title='broken'</script> ∂ℒ/∂θ → «ünïcödé» 漢字 🔥" in page.text
    assert "print('</script><script>alert(2)</script>')" in page.text
    assert "<img src=x onerror=alert(1)>" in page.text
    assert '<b>"bold"</b> & plain' in page.text


def test_a_source_that_is_no_page_is_not_a_link() -> None:
    results = (
        clause("detach", 1, source="javascript:alert(1)"),
        clause("detach", 2, source="https://example.org/a?b=1&c=2"),
        clause("detach", 3, source="own reasoning"),
    )
    page = Page(render_engine(ledger("x", "1", results)))
    links = [h for h in page.values("href", "a") if not h.startswith("#")]
    assert links == ["https://example.org/a?b=1&c=2"]
    assert "own reasoning" in page.text


def test_every_clause_has_its_permanent_link() -> None:
    page = Page(PAGES["engine tinytape"])
    assert {result.id for result in FAULTY.clauses} <= set(page.values("id"))
    index = Page(PAGES["index"])
    assert "tinytape.html#ACC-2" in index.values("href", "a")


def test_the_header_names_versions_profile_and_seed() -> None:
    text = " ".join(Page(PAGES["engine torch"]).text.split())
    for fact in ("torch 2.13.0+cpu", "NumPy 2.4.1", "profile default", "seed 0", "Hypothesis"):
        assert fact.replace(" ", "") in text.replace(" ", "")


def test_a_run_that_was_cut_short_says_so() -> None:
    assert "cut short" in Page(PAGES["engine tinytape"]).text
    assert "cut short" not in Page(PAGES["engine torch"]).text
    assert "cut short" in Page(PAGES["index"]).text


def test_the_line_where_the_engine_departs_is_marked() -> None:
    text = PAGES["engine tinytape"]
    assert text.count('class="line marked"') == 7  # each violation but the one without such a step


def test_a_report_is_the_same_from_the_file_as_from_the_run() -> None:
    read: Ledger = ledger_from_json(FAULTY.to_json())
    assert render_engine(read) == render_engine(FAULTY)


def test_sentences_show_code_as_code() -> None:
    results = (clause("detach", 1, title="`detach()` is <b>not</b> `x`, a lone `"),)
    text = render_engine(ledger("x", "1", results))
    assert "<code>detach()</code> is &lt;b&gt;not&lt;/b&gt; <code>x</code>, a lone `" in text


def test_a_page_grows_no_faster_than_its_ledger() -> None:
    single = render_engine(FAULTY)
    assert len(single) < 200_000
    bigger = replace(FAULTY, clauses=tuple(c for _ in range(10) for c in FAULTY.clauses))
    assert len(render_engine(bigger)) < 10 * len(single)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (0.0, "exact"),
        (0.5, "0.5 ulp"),
        (3.14159, "3.1 ulp"),
        (517.0, "517 ulp"),
        (41_900.0, "41,900 ulp"),
        (4.5e15, "4.5e15 ulp"),
        (float("inf"), "inf ulp"),
    ],
)
def test_errors_are_short(error: float, words: str) -> None:
    page = Page(render_engine(ledger("x", "1", (clause("detach", 1, max_error_ulp=error),))))
    assert f"Worst error{words}" in page.text


@pytest.mark.parametrize(("departures", "folded"), [(12, None), (13, "3 more"), (40, "30 more")])
def test_a_long_list_of_departures_is_folded(departures: int, folded: str | None) -> None:
    causes = [replace(SILENT, operation=f"op{n}") for n in range(departures)]
    results = tuple(violated("detach", 10 + n, cause) for n, cause in enumerate(causes))
    page = Page(render_engine(ledger("x", "1", results)))
    assert page.values("href", "a").count("#DET-10") == 2
    assert [words for words in re.findall(r"\d+ more", page.text) if words == folded] == (
        [folded] if folded else []
    )
    assert (" more" in page.text) == (folded is not None)


def test_the_specification_links_every_sentence_to_its_results() -> None:
    page = Page(render_specification([GOOD, FAULTY]))
    names = page_names([GOOD, FAULTY])
    links, words = set(page.values("href")), " ".join(page.text.split())
    for each, name in zip((GOOD, FAULTY), names, strict=True):
        for row in each.clauses:
            assert f"{name}#{row.id}" in links
            assert row.title.replace("`", "") in words
            assert row.why.replace("`", "") in words
            assert not row.source or row.source in words.replace("\u200b", "")

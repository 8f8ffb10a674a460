"""Opens the pages in headless Chromium, as a reader would: from a file, without any network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from conformance.report import write_reports
from tests.sample_ledgers import ALL, EMPTY, FAULTY, GOOD, HOSTILE, SCRIPT, SILENT

playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra `browser`")
expect = playwright.expect
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the path, or CHROMIUM set"),
]

PAGES = ("index", "tinytape", "torch", "nothing", "many")
WIDTHS = (1280, 768, 390, 320)


@dataclass
class Window:
    """A browser window, and everything that went wrong in it."""

    page: Any
    folder: Path
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open(self, name: str, fragment: str = "") -> Any:
        self.page.goto("about:blank")
        self.page.goto((self.folder / f"{name}.html").as_uri() + fragment)
        return self.page

    def shown(self) -> list[str]:
        items = self.page.locator("[data-item]:visible")
        return [str(id_) for id_ in items.evaluate_all("items => items.map((item) => item.id)")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reports")
    write_reports([*ALL, EMPTY], out)
    engines = [
        replace(ALL[n % 3], engine=replace(GOOD.engine, name=f"engine[number={n}]"))
        for n in range(20)
    ]
    write_reports(engines, out / "wide")
    (out / "wide" / "index.html").rename(out / "many.html")
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def window(browser: Any, folder: Path) -> Iterator[Window]:
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, permissions=["clipboard-read", "clipboard-write"]
    )
    found = Window(context.new_page(), folder)
    found.page.on("console", lambda message: found.errors.append(message.text))
    found.page.on("pageerror", lambda error: found.errors.append(str(error)))
    found.page.on("dialog", lambda dialog: found.errors.append(dialog.message))
    found.page.on("request", lambda request: found.requests.append(request.url))
    yield found
    context.close()
    outside = [url for url in found.requests if not url.startswith(("file:", "about:", "data:"))]
    assert (found.errors, outside) == ([], [])


OVERLAPS = """() => {
  const wide = document.documentElement.scrollWidth - innerWidth;
  const inside = (el) => el.closest("pre, .scroll, .matrix, .sr, [hidden], svg");
  const cut = [...document.querySelectorAll("main *, header *, footer *")].filter((el) => {
    const box = el.getBoundingClientRect();
    return box.width && !inside(el) && (box.right > innerWidth + 1 || box.left < -1);
  });
  return { wide, cut: cut.map((el) => el.outerHTML.slice(0, 120)) };
}"""


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_the_window(window: Window, name: str) -> None:
    page = window.open(name)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        found = page.evaluate(OVERLAPS)
        assert (width, found["cut"]) == (width, [])
        assert (width, found["wide"]) <= (width, 0)


CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (el) => {
    const layers = [];
    for (let at = el; at; at = at.parentElement) {
      layers.push(rgba(getComputedStyle(at).backgroundColor));
    }
    return layers.reverse().reduce((under, [r, g, b, a]) =>
      [r, g, b].map((v, i) => v * a / 255 + under[i] * (1 - a / 255)), [255, 255, 255]);
  };
  const poor = [];
  for (const el of document.querySelectorAll("body *")) {
    const own = [...el.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || el.closest(".sr, [hidden], :disabled, script, style") || !el.offsetWidth) continue;
    const pair = [light(rgba(getComputedStyle(el).color)), light(behind(el))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${el.outerHTML.slice(0, 90)}`);
  }
  return [...new Set(poor)];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index", "tinytape"])
def test_text_has_the_contrast_of_wcag_aa(window: Window, name: str, scheme: str) -> None:
    window.page.emulate_media(color_scheme=scheme)
    page = window.open(name)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.evaluate(CONTRAST) == []


def test_chips_show_only_what_they_name(window: Window) -> None:
    page = window.open("tinytape")
    page.get_by_role("button", name="silently wrong 3").click()
    assert window.shown() == ["ACC-2", "RET-6", "MOD-4"]
    assert page.locator("#shown").inner_text() == "3"
    page.get_by_role("button", name="not refused 1").click()
    assert window.shown() == ["ACC-2", "RET-6", "DAT-1", "MOD-4"]
    page.get_by_role("button", name="SHOULD", exact=True).click()
    assert window.shown() == []
    expect(page.get_by_text("No clause matches.")).to_be_visible()
    page.get_by_role("button", name="Clear the filters").click()
    assert len(window.shown()) == len(FAULTY.clauses)


def test_search_finds_ids_operations_and_messages(window: Window) -> None:
    page = window.open("tinytape")
    for words, found in (
        ("ret-6", ["RET-6"]),
        ("matmul  wrong sign", ["MOD-4"]),
        ("SIGSEGV", ["COT-5"]),
        ("漢字", ["RET-3"]),
    ):
        page.get_by_role("searchbox").fill(words)
        assert window.shown() == found
    assert page.locator("section.theme:visible").count() == 1


def test_search_is_reached_and_left_by_keyboard(window: Window) -> None:
    page = window.open("tinytape")
    page.keyboard.press("/")
    page.keyboard.type("mod-4")
    assert window.shown() == ["MOD-4"]
    page.keyboard.press("Escape")
    assert len(window.shown()) == len(FAULTY.clauses)


def test_a_clause_opens_by_keyboard(window: Window) -> None:
    page = window.open("tinytape")
    summary = page.locator("#ACC-2 summary")
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#ACC-2 .departure").first).to_be_visible()


def test_a_filtered_view_has_an_address(window: Window) -> None:
    page = window.open("tinytape")
    page.get_by_role("button", name="holds 44").click()
    page.get_by_role("searchbox").fill("detach")
    shown, fragment = window.shown(), page.evaluate("location.hash")
    window.open("tinytape", fragment)
    assert window.shown() == shown
    assert page.get_by_role("searchbox").input_value() == "detach"


def test_a_permanent_link_opens_its_clause(window: Window) -> None:
    page = window.open("tinytape", "#RET-6")
    expect(page.locator("#RET-6 .departure")).to_be_visible()
    assert page.locator("#RET-6 summary").bounding_box()["y"] < 200
    expect(page.locator("#RET-6 .line.marked")).to_be_visible()


def test_a_link_to_a_hidden_clause_shows_it(window: Window) -> None:
    page = window.open("tinytape")
    page.get_by_role("searchbox").fill("ret-3")
    page.locator(".worst a").first.click()
    assert "ACC-2" in window.shown()
    expect(page.locator("#ACC-2 .departure").first).to_be_visible()


def test_copying_gives_the_script_byte_for_byte(window: Window) -> None:
    page = window.open("tinytape", "#ACC-2")
    button = page.locator("#ACC-2 .departure").first.get_by_role("button").nth(1)
    button.click()
    playwright.expect(button).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == SCRIPT.rstrip("\n") + "\n"
    program = page.locator("#ACC-2 .departure").first.get_by_role("button").first
    program.click()
    playwright.expect(program).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == SILENT.text + "\n"


def test_copying_works_where_the_clipboard_is_refused(window: Window) -> None:
    window.page.add_init_script("delete Navigator.prototype.clipboard")
    page = window.open("tinytape", "#RET-3")
    button = page.locator("#RET-3 .departure").get_by_role("button").nth(1)
    button.click()
    playwright.expect(button).to_have_text("Copied")
    page.get_by_role("searchbox").click()
    page.keyboard.press("Control+v")
    assert page.get_by_role("searchbox").input_value() == HOSTILE.reproduction.strip()


def test_the_theme_can_be_chosen_and_is_remembered(window: Window) -> None:
    def background() -> str:
        return str(window.page.evaluate("getComputedStyle(document.body).backgroundColor"))

    window.page.emulate_media(color_scheme="light")
    page = window.open("tinytape")
    light = background()
    button = page.get_by_role("button", name="Theme: auto")
    button.click()
    button = page.get_by_role("button", name="Theme: light")
    button.click()
    dark = background()
    assert dark != light
    window.open("index")
    assert background() == dark
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()


def test_the_index_leads_to_the_clause_of_an_engine(window: Window) -> None:
    page = window.open("index")
    page.get_by_role("button", name="silently wrong 3").click()
    assert window.shown() == ["ACC-2", "RET-6", "MOD-4"]
    page.get_by_role("link", name="silently wrong").first.click()
    page.wait_for_url("**/tinytape.html#ACC-2")
    expect(page.locator("#ACC-2 .departure").first).to_be_visible()
    page.get_by_role("link", name="All engines").click()
    page.wait_for_url("**/index.html")


def test_clauses_on_which_engines_differ_can_be_picked(window: Window) -> None:
    page = window.open("index")
    page.get_by_role("button", name="engines differ").click()
    assert len(window.shown()) == 13
    assert "LEAF-3" in window.shown()


def test_everything_is_there_without_a_script(browser: Any, folder: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((folder / "tinytape.html").as_uri())
    assert page.locator(".clause:visible").count() == len(FAULTY.clauses)
    assert page.get_by_role("button").count() == 0
    page.locator("#ACC-2 summary").click()
    expect(page.locator("#ACC-2 .departure").first).to_be_visible()
    context.close()


def test_printing_opens_every_departure_on_white(window: Window) -> None:
    page = window.open("tinytape")
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".departure:visible").count() == 8
    assert not page.locator("#LEAF-1 .body").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0

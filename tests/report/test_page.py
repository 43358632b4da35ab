"""Claims about the page that a person reads."""

import html
import itertools
import os
import re
import shutil
from html.parser import HTMLParser

import polars as pl
import pytest

from regulars.report import Results, headline, warnings, write
from regulars.report.page import render, verdict_of
from regulars.report.table import DASH

CHROMIUM = shutil.which("chromium", path="/usr/bin") or ""


class Outline(HTMLParser):
    """Headings, tables, images and references of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.tags: list[str] = []
        self.references: list[str] = []
        self.images: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self.references += [found[name] or "" for name in ("src", "href", "xlink:href") if name in found]
        if found.get("role") == "img":
            self.images.append(found.get("aria-label") or "")
        if "id" in found:
            self.ids.append(found["id"] or "")


@pytest.fixture(scope="module")
def page(run):
    return render(run)


@pytest.fixture(scope="module", params=["run", "market", "one", "bare"])
def any_page(request, run, market, make, totals):
    made = {
        "run": lambda: run,
        "market": lambda: market,
        "one": lambda: make(worlds=1, sweeps=False, consumers=60),
        "bare": lambda: totals({"mine": {"profit": [3.0, 4.0]}, "other": {"profit": [2.0, 5.0]}}),
    }[request.param]()
    return made, render(made)


def test_the_page_asks_for_nothing(any_page):
    _, page = any_page
    outline = Outline(page)
    assert all(reference.startswith(("#", "data:")) for reference in outline.references)
    assert not re.search(r"url\(\s*['\"]?(?!#)", page)
    assert "@import" not in page
    assert "script" not in outline.tags


def test_the_page_is_small_and_whole(any_page):
    _, page = any_page
    assert len(page.encode()) <= 2_000_000
    assert page.rstrip().endswith("</html>")
    assert not re.search(r"\bNone\b|\bnan\b|undefined", re.sub(r"<style>.*?</style>", "", page, flags=re.S))


def test_headings_stand_in_order(any_page):
    _, page = any_page
    headings = Outline(page).headings
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(headings))


def test_every_id_is_there_once(any_page):
    _, page = any_page
    ids = Outline(page).ids
    assert len(ids) == len(set(ids))


def test_every_table_has_a_caption_and_every_head_a_scope(any_page):
    _, page = any_page
    for table in re.findall(r"<table.*?</table>", page, flags=re.S):
        assert table.count("<caption>") == 1
        assert all("scope=" in head for head in re.findall(r"<th\b[^>]*>", table))


def test_every_chart_is_said_in_words_with_its_figures(page):
    images = Outline(page).images
    assert len(images) >= 15
    assert all(re.search(r"\d", words) and len(words) > 30 for words in images)


def test_the_page_opens_with_the_answer_and_the_warnings(run, page):
    assert f"<h1>{headline(run).title}</h1>" in page
    beware = page.index("Before you choose")
    assert beware < page.index("Who earns most")
    for warning in warnings(run):
        assert warning in page[beware : page.index("Who earns most")]


def test_a_run_with_nothing_to_warn_of_has_no_warnings_box(make):
    run = make(worlds=4, leader="considerate")
    assert warnings(run) == []
    assert "Before you choose" not in render(run)


def test_the_market_shows_who_lost_whom(market):
    page = render(market)
    assert "Who lost whom to whom" in page
    assert "Lost by" in page
    assert "One consumer" not in page


def test_the_page_says_how_to_run_it_again(run, page):
    assert run.about["state_hash"] in page
    assert "regulars simulate journey-2017 --seed 1 --worlds 6 --days 365" in page


def test_a_command_that_the_run_states_is_the_one_shown(run):
    told = Results(run.totals, about=dict(run.about) | {"command": "regulars simulate my.toml"})
    assert "<code>regulars simulate my.toml</code>" in render(told)


def test_what_a_retailer_calls_itself_cannot_break_the_page(totals):
    page = render(totals({"<script>alert(1)</script>": {"profit": [1.0, 2.0]}, "b": {"profit": [1.0, 3.0]}}))
    assert "<script" not in page


def test_a_long_diary_is_cut_and_says_so(run):
    day = {"day": 3, "date": "2017-01-04", "kind": "message", "text": "Offer"}
    told = Results(run.totals, diaries={"blast": pl.DataFrame([day] * 1600)}, about=run.about)
    page = render(told)
    assert page.count("Offer") == 1500
    assert "A diary was cut here" in page


@pytest.mark.parametrize(
    ("text", "verdict"),
    [("creepy: how do they know", "creepy"), ("Not annoying but creepy", "annoying"), ("bought milk", "")],
)
def test_a_verdict_is_found_in_the_words(text, verdict):
    assert verdict_of(text) == verdict


def test_writing_leaves_one_file(run, tmp_path):
    path = write(run, tmp_path / "deep" / "report.html")
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM:
        why = "chromium is not at /usr/bin/chromium; install it to drive the page in a real browser"
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(why)
        pytest.skip(why)
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as play:
        driven = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield driven
        driven.close()


@pytest.fixture(scope="module")
def written(run, market, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    return {"run": write(run, folder / "run.html"), "market": write(market, folder / "market.html")}


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 360, 768, 1280])
@pytest.mark.parametrize("kind", ["run", "market"])
def test_a_browser_shows_the_page_without_requests_or_sideways_scroll(browser, written, kind, width, scheme):
    path = written[kind]
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab = context.new_page()
    asked: list[str] = []
    faults: list[str] = []
    tab.on("request", lambda each: asked.append(each.url))
    tab.on("console", lambda each: faults.append(each.text) if each.type in ("error", "warning") else None)
    tab.goto(path.as_uri())
    assert [url for url in asked if url != path.as_uri() and not url.startswith("data:")] == []
    assert faults == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    first = tab.locator("table.ranking tbody tr").first.locator("th")
    assert first.is_visible()
    assert first.inner_text().startswith("harvest" if kind == "run" else "west (harvest)")
    beware = tab.get_by_role("heading", name="Before you choose")
    assert beware.is_visible()
    assert tab.get_by_text("does not lead by first-year profit").is_visible()
    # A phone and a desk each see exactly one drawing of a chart, and can read its words.
    smallest = tab.evaluate(
        """() => Math.min(...[...document.querySelectorAll('.chart svg text')].map(text => {
            const svg = text.ownerSVGElement, box = svg.getBoundingClientRect()
            const size = parseFloat(text.getAttribute('font-size'))
            return box.width ? size * box.width / svg.viewBox.baseVal.width : 99
        }))"""
    )
    assert smallest >= (11 if width >= 360 else 10)
    shown = tab.evaluate(
        """() => [...document.querySelectorAll('.chart')].map(chart =>
            [...chart.querySelectorAll('svg')].filter(svg => svg.getBoundingClientRect().width > 0).length)"""
    )
    assert set(shown) == {1}
    context.close()


@pytest.mark.browser
def test_the_page_can_be_used_from_the_keyboard(browser, written):
    tab = browser.new_page(viewport={"width": 800, "height": 900})
    tab.goto(written["run"].as_uri())
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the report"
    assert tab.locator(".skip").bounding_box()["x"] >= 0
    seen = set()
    for _ in range(30):
        tab.keyboard.press("Tab")
        seen.add(tab.evaluate("document.activeElement.tagName + ' ' + document.activeElement.className"))
    assert "DIV scroll" in seen
    assert "SUMMARY " in seen
    months = tab.locator("details")
    months.nth(1).locator("summary").focus()
    tab.keyboard.press("Enter")
    assert months.nth(1).evaluate("details => details.open")
    tab.close()


def test_a_diary_shows_the_verdict_as_a_chip_and_once(run):
    rows = [("message", "Chain by e-mail: coffee"), ("verdict", "How do they know? (creepy; no need of it)")]
    rows += [("message", "Chain by e-mail: tea"), ("verdict", "Did not open it.")]
    diary = pl.DataFrame(
        [{"day": 3, "date": "2017-01-04", "kind": kind, "text": text} for kind, text in rows]
    )
    page = render(Results(run.totals, diaries={"blast": diary}, about=run.about))
    assert '<span class="chip creepy">creepy</span> How do they know? (no need of it)' in page
    assert ">Did not open it.<" in page


def test_winners_that_are_no_retailers_are_columns_only(market):
    named = market.moves.with_columns(won_by=pl.lit("elsewhere"))
    page = render(Results(market.totals, moves=named, about=market.about))
    matrix = page[page.index('<table class="matrix">') :]
    matrix = matrix[: matrix.index("</table>")]
    assert '<th scope="col">elsewhere</th>' in matrix
    assert '<th scope="row">elsewhere</th>' not in matrix


def test_the_frequency_is_called_what_is_allowed_and_what_was_sent_is_shown(run):
    text = render(run)
    assert "contacts allowed a week" in text
    assert "blast, sent" in text


def test_where_retailers_compete_nobody_is_said_to_live_each_policy(market):
    text = render(market)
    assert "compete for the same consumers" in text and "in competition" in text
    assert "lived by the same consumers" not in text and "the same luck for each" not in text


def test_moves_to_nobody_are_not_called_moves_to_a_shop(market):
    from regulars.report import captions

    lost = market.moves.with_columns(won_by=pl.lit("nobody"))
    assert "no other shop won 100% of them" in captions.moves(lost)


def test_the_remaining_base_is_explained(run):
    assert "next year's margin" in html.unescape(render(run))


def test_people_who_moved_are_named_by_household(market):
    text = render(market)
    assert '<th scope="col">Household</th>' in text and "in world 1" in text
    first = market.moves.filter(world=0).sort("day", maintain_order=True)["household_id"][0]
    assert f"<td>{first}</td>" in text


def test_a_row_of_who_lost_whom_adds_up(market):
    cells = re.findall(r'<tr><th scope="row">(?:north|south|west)</th>(.*?)</tr>', render(market))
    assert len(cells) == 3
    for row in cells:
        *parts, total = re.findall(rf">(\d+|{DASH})<", row)
        assert sum(int(part) for part in parts if part != DASH) == int(total)


def test_how_many_are_within_reach_at_the_start_stands_among_the_facts(totals):
    arm = {"profit": [1, 2], "consumers": [300, 300], "reachable_start": [208, 212]}
    text = render(totals({"a": arm}))
    assert "<b>210</b> of them within reach at the start" in text
    assert "are of those within reach at the start" in text


def test_a_sign_stays_with_its_amount(totals):
    text = render(totals({"silence": {"profit": [5, 6, 7]}, "blast": {"profit": [1, 2, 3.5]}}))
    words = re.sub(r"<svg.*?</svg>|<style>.*?</style>", "", text, flags=re.S)
    assert "\N{MINUS SIGN}\N{WORD JOINER}$" in words
    assert "\N{MINUS SIGN}$" not in words
    assert "\N{WORD JOINER}" not in "".join(re.findall(r"<svg.*?</svg>", text, flags=re.S))


@pytest.mark.browser
def test_a_phone_shows_every_figure_of_the_ranking(browser, written):
    tab = browser.new_page(viewport={"width": 390, "height": 900})
    tab.goto(written["run"].as_uri())
    hidden = tab.evaluate(
        """() => [...document.querySelectorAll('table.ranking td, table.sent td, table.ranking th small')].filter(
            each => { const box = each.getBoundingClientRect(); return !box.width || box.right > 390 }).length"""
    )
    assert hidden == 0
    labels = tab.evaluate(
        "getComputedStyle(document.querySelector('table.ranking td'), '::before').getPropertyValue('content')"
    )
    assert labels == '"Profit"'
    tab.close()

"""The HTML report: self-contained, escaped, small, and looked at in a real browser."""

from __future__ import annotations

import html.parser
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import chromium, emulate
from kbmatch.cli.case import open_case
from kbmatch.cli.reports.html_report import html_report
from kbmatch.cli.reports.markdown_report import markdown_report
from kbmatch.cli.reports.view import report_view
from kbmatch.kb.store.knowledge import KnowledgeBase

ROOT = Path(__file__).resolve().parents[3]
CASE = ROOT / "examples/founding-case"
LIMIT = 300 * 1024
KNOWLEDGE = KnowledgeBase()
HOSTILE = (
    "[    1.0] <script>document.title='owned'</script><img src=http://127.0.0.1:9/x onerror=alert(1)>\n"
    "[    1.1] </code></div></main><style>body{display:none}</style>&lt;&#60;\n"
    "[    1.2] \x1b[31mred\x1b[0m \x07bell \x00nul \u202egnp.exe \u2066iso \u05d0\u05d1\u05d2 \ufeff\u200b end\n"
    "[    1.3] ``` | pipe | [link](http://127.0.0.1:9/) @everyone ![x](http://127.0.0.1:9/i) `tick`\n"
)


def pages(path: Path) -> tuple[str, str]:
    case = open_case([str(path)], KNOWLEDGE)
    view = report_view(case.diagnosis, KNOWLEDGE, case.log)
    return html_report(view), markdown_report(view)


def hostile_log(folder: Path) -> Path:
    text = (CASE / "dmesg.log").read_text().replace("Comm: swapper/0", "Comm: <b>\u202ex</b>")
    path = folder / "<img src=x onerror=alert(1)>.log"
    path.write_text(HOSTILE + text + HOSTILE)
    return path


class _Parsed(html.parser.HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize("name", ["dmesg.log", "crash-session.txt"])
def test_the_page_is_one_file_without_script_or_anything_from_outside(name: str) -> None:
    page, _ = pages(CASE / name)
    parsed = _Parsed(page)
    assert not {tag for tag, _ in parsed.tags} & {"script", "img", "link", "iframe", "object", "embed", "form", "base"}
    assert not [a for _, attributes in parsed.tags for a in attributes if a.startswith("on") or a in ("src", "style")]
    assert all(a["href"].startswith("https://") for tag, a in parsed.tags if tag == "a" and a["href"])
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src &#x27;none&#x27;; style-src &#x27;sha256-" in page
    assert "unsafe" not in page.split("</head>", 1)[0]


def test_it_is_in_this_order_verdict_evidence_differential_ring_crash_instruction_log_stack_machine() -> None:
    page, _ = pages(CASE / "crash-session.txt")
    marks = [
        "<h1>CONFIRMED", "What to do", "Evidence", "Differential", "Driver state: xen-netfront.rx-rings",
        "The crash", "The instruction", "The log", "Stack", "Machine and kernel",
    ]  # fmt: skip
    places = [page.index(mark) for mark in marks]
    assert places == sorted(places)
    assert re.search(r'class="mono hit">0xffffffff', page)
    assert re.search(r'class="hit" id="line16"><i>16</i><code>.*NULL pointer.*<b>the crash', page)
    assert re.search(r'class="hit" id="line17".*xennet_poll.*<b>symbol', page)


def test_every_report_of_the_shared_logs_is_below_300_kib_and_has_no_control_characters(shared: Path) -> None:
    for path in sorted((shared / "corpus/console").glob("*.log"))[::12]:
        page, text = pages(path)
        assert len(page.encode()) < LIMIT, path
        assert page.isascii()
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", page + text), path


def test_a_log_of_half_a_million_lines_gives_a_small_page_that_shows_the_crash(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    filler = "".join(f"[{i:5d}.000000] eth0: link is up, a line of no importance {'x' * 40}\n" for i in range(300_000))
    path.write_text(filler + (CASE / "dmesg.log").read_text() + filler)
    page, text = pages(path)
    assert len(page.encode()) < LIMIT
    assert "lines 1 to 299985 left out" in page
    assert "xennet_poll+0x2bb/0xb30" in page
    assert len(text) < 30_000


def test_markdown_texts_of_the_input_have_no_effect(tmp_path: Path) -> None:
    _, text = pages(hostile_log(tmp_path))
    outside = re.sub(r"(?ms)^(`{3,})text\n.*?^\1$", "", text)
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", outside)
    assert "<script" not in outside
    assert "<img" not in outside
    assert "![" not in outside
    assert "\x1b" not in text
    assert "\u202e" not in text


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def show(driver: Any, folder: Path, page: str, *screen: Any, **how: Any) -> None:
    path = folder / "report.html"
    path.write_text(page)
    emulate(driver, *screen, **how)
    driver.get_log("performance")
    driver.get(path.as_uri())


SCREENS = [(1280, 900, "light", "screen"), (1280, 900, "dark", "screen"), (390, 844, "light", "screen"),
           (390, 844, "dark", "screen"), (800, 1100, "light", "print")]  # fmt: skip

# Relative luminance and contrast: WCAG 2.1, "contrast ratio". Walks up to the first ancestor with a background.
CONTRAST = """
const lum = c => { const v = c.map(x => { x /= 255; return x <= .03928 ? x/12.92 : ((x+.055)/1.055)**2.4 });
  return .2126*v[0] + .7152*v[1] + .0722*v[2] };
const rgb = s => s.match(/[\\d.]+/g).map(Number);
const worst = [];
for (const e of document.querySelectorAll('h1,h2,h3,p,dt,dd,td,th,a,code,i,b,li,summary,.gap')) {
  if (!e.textContent.trim()) continue;
  let b = e; while (b && (rgb(getComputedStyle(b).backgroundColor)[3] === 0)) b = b.parentElement;
  const back = b ? rgb(getComputedStyle(b).backgroundColor) : [255,255,255], fore = rgb(getComputedStyle(e).color);
  const [x, y] = [lum(fore), lum(back)].sort((p, q) => q - p);
  worst.push([(x+.05)/(y+.05), e.tagName + ' ' + e.textContent.slice(0, 30)]);
}
return worst.sort((p, q) => p[0] - q[0])[0];
"""


@pytest.mark.parametrize(("width", "height", "scheme", "media"), SCREENS)
def test_the_page_fits_is_readable_and_the_console_is_silent(
    browser: Any, tmp_path: Path, width: int, height: int, scheme: str, media: str
) -> None:
    unknown = tmp_path / "unknown.log"
    unknown.write_text((CASE / "dmesg.log").read_text().replace("xennet_poll", "acme_poll"))
    nothing = tmp_path / "nothing.log"
    nothing.write_text("[    1.0] usb 1-1: new device\n")
    for path in (unknown, nothing, hostile_log(tmp_path), CASE / "crash-session.txt"):
        show(browser, tmp_path, pages(path)[0], width, height, scheme=scheme, media=media)
        assert browser.get_log("browser") == []
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        contrast, where = browser.execute_script(CONTRAST)
        assert contrast >= 4.5, where
    title = browser.find_element("css selector", "h1")
    assert title.text == "CONFIRMED"
    assert title.rect["y"] < 100
    dark = browser.execute_script("return getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark" and media == "screen")
    hidden = browser.execute_script(
        "return [...document.querySelectorAll('h2,dd,td,.log div')].filter(e => !e.getClientRects().length).length"
    )
    assert hidden == 0


def test_on_paper_no_line_of_the_log_is_cut_off(browser: Any, tmp_path: Path) -> None:
    show(browser, tmp_path, pages(CASE / "crash-session.txt")[0], 800, 1100, media="print")
    beyond = "e => e.getBoundingClientRect().right > 801"
    assert (
        browser.execute_script(f"return [...document.querySelectorAll('.log code,pre,td')].filter({beyond}).length")
        == 0
    )


def test_a_hostile_log_neither_runs_nor_loads_nor_hides_anything(browser: Any, tmp_path: Path) -> None:
    page, _ = pages(hostile_log(tmp_path))
    assert len(page.encode()) < LIMIT
    assert page.isascii()
    show(browser, tmp_path, page, 1280, 900)
    assert browser.title.startswith("LIKELY") or browser.title.startswith("CONFIRMED")
    assert browser.execute_script("return document.scripts.length + document.images.length") == 0
    assert browser.execute_script("return document.querySelectorAll('style').length") == 1
    shown = browser.find_element("css selector", "body").text
    assert "<script>document.title='owned'</script>" in shown
    assert "\\x1b[31mred" in shown
    assert "\\u202egnp.exe" in shown
    assert browser.get_log("browser") == []
    # Hebrew stands in the order of the bytes: an override, so that nothing can be made to look like another line
    assert (
        browser.execute_script("return getComputedStyle(document.querySelector('.log code')).unicodeBidi")
        == "bidi-override"
    )
    requests = re.findall(
        r'"url":"((?:https?|wss?|ftp):[^"]+)', str([e["message"] for e in browser.get_log("performance")])
    )
    assert requests == []


def test_even_a_script_that_got_in_would_be_refused_by_the_policy(browser: Any, tmp_path: Path) -> None:
    page, _ = pages(CASE / "dmesg.log")
    injected = "<script>document.title='owned'</script><style>h1{display:none}</style><img src='http://127.0.0.1:9/x'>"
    show(browser, tmp_path, page.replace("<main>", "<main>" + injected), 1280, 900)
    assert "owned" not in browser.title
    assert browser.find_element("css selector", "h1").is_displayed()
    refused = " ".join(entry["message"] for entry in browser.get_log("browser"))
    assert refused.count("Content Security Policy") >= 3

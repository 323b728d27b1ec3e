"""The page in a real browser: Debian's Chromium, headless."""

import pytest

from pytest_enterprise.report import html, words
from pytest_enterprise.report.model import load_run

EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def visit(chromium, directory, **options):
    """Open the page; fails on console errors, exceptions and requests for anything but the page itself."""
    context = chromium.new_context(**options)
    page = context.new_page()
    page.told = []
    page.on("console", lambda message: page.told.append(message.text))
    page.on("pageerror", lambda error: page.told.append(str(error)))
    page.on("request", lambda request: page.told.append(request.url) if request.url != address else None)
    address = html.write(directory).as_uri()
    page.goto(address)
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_page(chromium, demo, scheme, width):
    """Verdicts are seen, bands lie inside their charts, nothing overflows, nothing is fetched, nothing complains."""
    page = visit(chromium, demo, color_scheme=scheme, viewport={"width": width, "height": 900})
    assert page.told == []
    assert "1 of 4 scenarios broke" in page.locator("h1").inner_text()
    assert page.locator("#verdicts tbody tr").count() == 4 + 3 + 1 + 4 + 2
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    outside = page.evaluate(
        """() => [...document.querySelectorAll("svg.ch")].flatMap(svg => {
            const frame = svg.getBoundingClientRect();
            return [...svg.querySelectorAll("text, .b, .p50, .p95, .p99, .ok, .no, use")].filter(part => {
                const box = part.getBoundingClientRect();
                return box.left < frame.left - 1 || box.right > frame.right + 1
                    || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
            }).map(part => part.outerHTML.slice(0, 80));
        })"""
    )
    assert outside == []
    assert page.locator("svg.ch .b").count() == 4


def test_no_text_of_a_chart_overlaps(chromium, demo):
    """Labels, ticks and headings of a chart keep clear of each other."""
    page = visit(chromium, demo, viewport={"width": 1280, "height": 900})
    overlapping = page.evaluate(
        """() => [...document.querySelectorAll("svg.ch")].flatMap(svg => {
            const texts = [...svg.querySelectorAll("text")].map(t => [t.textContent, t.getBoundingClientRect()]);
            return texts.flatMap(([a, x], i) => texts.slice(i + 1)
                .filter(([b, y]) => x.left < y.right && y.left < x.right)
                .filter(([b, y]) => x.top + 2 < y.bottom && y.top + 2 < x.bottom)
                .map(([b]) => `${a} / ${b}`));
        })"""
    )
    assert overlapping == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(chromium, demo, scheme):
    """Every text stands out from what is behind it by a ratio of at least 4.5."""
    page = visit(chromium, demo, color_scheme=scheme)
    weak = page.evaluate(
        """() => {
            const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(v => v / 255)
                .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
            const behind = e => { for (; e; e = e.parentElement) {
                const c = getComputedStyle(e).backgroundColor;
                if (c != "rgba(0, 0, 0, 0)" && c != "transparent") return c; } return "rgb(255, 255, 255)"; };
            const found = new Set();
            for (const e of document.querySelectorAll("body *")) {
                if (![...e.childNodes].some(n => n.nodeType == 3 && n.data.trim())) continue;
                if (!e.getClientRects().length) continue;
                if (e.closest("svg") && e.tagName != "text" || e.tagName == "SCRIPT") continue;
                const style = getComputedStyle(e);
                const ink = e.tagName == "text" ? style.fill : style.color;
                const [a, b] = [light(ink), light(behind(e))].sort((x, y) => y - x);
                if ((a + 0.05) / (b + 0.05) < 4.5) found.add(`${e.tagName}.${e.getAttribute("class")}`);
            }
            return [...found];
        }"""
    )
    assert weak == []


def test_without_javascript(chromium, demo):
    """Tables, charts and folded parts are all there and can be opened with JavaScript off."""
    page = visit(chromium, demo, java_script_enabled=False)
    assert page.told == []
    assert page.locator("#claims tbody tr").count() == 5
    assert page.locator("#verdicts").get_by_text("availability-during").count() == 2
    links = page.locator("summary", has_text="4 links")
    links.focus()
    page.keyboard.press("Enter")
    assert page.get_by_text("127.0.0.1:41003").is_visible()


def test_hostile_names_execute_nothing(chromium, builder):
    """A test, a fault and a message that carry scripts are read, not run."""
    build = builder()
    build.begin(f"test_a.py::test_b[{EVIL}]", claim="replica-failover", title=EVIL)
    build.load(1, faults=[("kill", EVIL, 0.2, 0.6, {EVIL: EVIL})], behave=lambda _: (0.01, EVIL))
    build.judged("x", 1, 2, "<=", EVIL, "broken", detail=EVIL)
    build.end("failed", EVIL)
    page = visit(chromium, build.write())
    assert page.told == []
    assert "owned" not in page.title()
    assert page.locator("img").count() == 0
    assert EVIL in page.locator("details.card h3").inner_text()


def test_a_link_unfolds_its_scenario(chromium, hundreds):
    """Following a verdict's link opens the folded scenario, and the page of hundreds loads within seconds."""
    page = visit(chromium, hundreds)
    assert page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd") < 5000
    card = page.locator("details.card:not([open])").last
    name = card.get_attribute("id")
    page.locator(f'a[href="#{name}"]').last.click()
    page.locator(f"#{name}[open] svg").wait_for(state="visible", timeout=5000)


def test_print(chromium, demo):
    """On paper everything is unfolded, in dark mode too."""
    short = visit(chromium, demo, color_scheme="dark")
    assert short.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    short.emulate_media(media="print")
    assert short.get_by_text("127.0.0.1:41003").is_visible()
    assert short.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_hundreds_on_paper(chromium, hundreds):
    """Folded scenarios are printed too."""
    page = visit(chromium, hundreds)
    folded = page.locator("details.card:not([open]) svg").last
    assert not folded.is_visible()
    page.emulate_media(media="print")
    assert folded.is_visible()


def test_values_under_the_pointer(chromium, demo):
    """A chart tells what was felt in the step under the pointer and what fault was on, and hides it again."""
    page = visit(chromium, demo, viewport={"width": 1280, "height": 900})
    chart = page.locator("svg[data-c]").first
    chart.scroll_into_view_if_needed()
    frame = chart.bounding_box()
    tip = page.locator("#tip")
    assert not tip.is_visible()
    page.mouse.move(frame["x"] + frame["width"] * 0.4, frame["y"] + 150)
    assert tip.is_visible()
    told = tip.inner_text()
    for part in ("p50 ", "p99 ", " sent, ", " answered, ", " waiting", "fault: cut agent-service -> postgres"):
        assert part in told, part
    page.mouse.move(frame["x"] + 5, frame["y"] + 150)
    assert not tip.is_visible()
    assert page.told == []


def test_values_by_keyboard(chromium, demo):
    """Arrow keys walk through a chart step by step, to either end and no further; Escape hides what they told."""
    page = visit(chromium, demo, viewport={"width": 1280, "height": 900})
    chart = page.locator("svg[data-c]").first
    chart.focus()
    tip = page.locator("#tip")
    page.keyboard.press("Home")
    assert tip.inner_text().startswith("0.00 to ")
    page.keyboard.press("ArrowLeft")
    assert tip.inner_text().startswith("0.00 to ")
    page.keyboard.press("ArrowRight")
    second = tip.inner_text()
    assert not second.startswith("0.00 to ")
    page.keyboard.press("End")
    assert tip.inner_text() != second
    assert tip.get_attribute("role") == "status"
    page.keyboard.press("Escape")
    assert not tip.is_visible()
    assert page.told == []


def test_the_values_are_those_that_were_recorded(chromium, demo):
    """What the script reads back from the drawing is what was counted, and percentiles to within a percent."""
    page = visit(chromium, demo)
    loads = [load for scenario in words.worst_first(load_run(demo).scenarios) for load in scenario.loads]
    for number, load in enumerate(loads):
        told = page.evaluate(
            """n => { const svg = document.querySelectorAll("svg[data-c]")[n];
                const [,, low, high] = svg.dataset.c.split(" ").map(Number);
                return { sent: steps(svg, "sent"), answered: steps(svg, "ok"), failed: steps(svg, "no"),
                    waiting: level(svg),
                    p99: heights(svg, "p99").map(y => low * (high / low) ** (1 - y / 680)) }; }""",
            number,
        )
        buckets = load.recorded.timeline.buckets
        assert told["sent"] == [b.sent for b in buckets]
        assert told["answered"] == [b.answered for b in buckets]
        assert told["failed"] == ([b.refused for b in buckets] if load.recorded.failures else [])
        assert told["waiting"] == [b.under_way for b in buckets]
        for number, bucket in enumerate(buckets):
            if bucket.p99 is not None:
                assert told["p99"][number] == pytest.approx(bucket.p99, rel=0.01)


def test_parts_can_be_left_out(chromium, demo):
    """A button for each part hides and shows it, and tells which it does."""
    page = visit(chromium, demo)
    chart = page.locator("svg[data-c]").first
    button = page.locator(".parts").first.get_by_role("button", name="p99")
    line = chart.locator(".k .p99")
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert line.evaluate("e => getComputedStyle(e).visibility") == "hidden"
    button.click()
    assert line.evaluate("e => getComputedStyle(e).visibility") == "visible"


def test_shared_words_are_readable_in_the_dark(chromium, demo):
    """What all charts have in common takes its colours from the page too."""
    page = visit(chromium, demo, color_scheme="dark")
    fills = page.evaluate("[...document.querySelectorAll('.defs text')].map(t => getComputedStyle(t).fill)")
    assert len(fills) > 10
    assert "rgb(0, 0, 0)" not in fills

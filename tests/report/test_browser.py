"""The page in headless Chromium: no error, something to see, and quick to open."""

import io
import os
import shutil
import time
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from protdiff.report import write_report
from protdiff.structure import Backbone, build_backbone, write_backbone

playwright = pytest.importorskip("playwright.sync_api", reason="pip install protdiff[browser]")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; apt-get install chromium"),
    # Its pipes close when the interpreter collects them.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
FLAGS = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox"]
PATIENCE = 120_000  # milliseconds; of a busy machine
OPENS_WITHIN = 3.0  # seconds


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """Return a function that opens a report and fails at the end on any error or request."""
    complaints = []
    pages = []

    def open_page(path):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        pages.append(page)
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        local = ("file:", "data:", "blob:")
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith(local) else complaints.append(request.url)
            ),
        )
        page.goto(path.resolve().as_uri())
        page.wait_for_selector("html[data-ready]", timeout=PATIENCE)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert complaints == []


@pytest.fixture
def page(open_page, run_folder):
    write_report(run_folder)
    return open_page(run_folder / "report.html")


COUNT_COLOURS = """selector => {
    const canvas = document.querySelector(selector);
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [canvas.width, canvas.height];
    const context = copy.getContext("2d");
    context.drawImage(canvas, 0, 0);
    const { data } = context.getImageData(0, 0, copy.width, copy.height);
    return new Set(new Uint32Array(data.buffer)).size;
}"""


def test_the_pictures_are_not_blank(page):
    for selector in ("#gallery canvas", "#contact-map", "#strip"):
        assert page.evaluate(COUNT_COLOURS, selector) > 1, selector
    # A WebGL canvas may be read only in the frame in which it was drawn; a screenshot always.
    shot = matplotlib.image.imread(io.BytesIO(page.locator("#viewer").screenshot(timeout=PATIENCE)))
    assert len(np.unique(shot.reshape(-1, shot.shape[-1]), axis=0)) > 50


def get_names(page):
    return page.locator("#table tbody th").all_inner_texts()


def test_the_table_sorts(page):
    before = get_names(page)
    column = page.locator('#table thead button[data-key="rg"]')
    column.click()
    cells = [row.split() for row in page.locator("#table tbody tr").all_inner_texts()]
    radii = [float(cell[4]) for cell in cells]
    assert radii == sorted(radii)
    column.click()
    assert get_names(page) != before or len(set(radii)) == 1
    column.click()
    assert get_names(page) == before


def test_a_choice_anywhere_is_a_choice_everywhere(page):
    def chosen():
        return (
            page.locator("#design-name").inner_text(),
            page.locator("#table tr[aria-selected=true] th").inner_text(),
            page.locator("#gallery [aria-selected=true]").inner_text(),
        )

    assert chosen() == ("design_0000",) * 3
    page.locator("#table tbody tr").nth(2).click()
    assert chosen() == ("design_0002",) * 3
    page.locator("#gallery button").nth(1).click()
    assert chosen() == ("design_0001",) * 3
    page.locator('#plot-radius .point[data-design="3"]').dispatch_event("click")
    assert chosen() == ("design_0003",) * 3
    page.locator("#design-name").click()
    page.keyboard.press("ArrowRight")
    assert chosen() == ("design_0000",) * 3


def test_the_filter_takes_words_and_numbers(page):
    page.fill("#query", "helix > 0.5")
    assert get_names(page) == ["design_0001", "design_0003"]
    page.fill("#query", "0003 helix>0.5")
    assert get_names(page) == ["design_0003"]
    page.fill("#query", "nothing")
    assert page.locator("#table-empty").is_visible()


def test_the_trajectory_plays_and_scrubs(page):
    page.locator("#gallery button").nth(3).click()
    page.locator("#movie input[value=denoised]").check(force=True)
    slider = page.locator("#frame")
    slider.evaluate("e => { e.value = 1; e.dispatchEvent(new Event('input')); }")
    assert page.locator("#frame-label").inner_text() == "2 / 3"
    page.locator("#play").click()
    playwright.expect(page.locator("#frame-label")).to_have_text("3 / 3", timeout=PATIENCE)


def test_a_download_is_the_structure_of_the_file(page, run_folder, tmp_path):
    for button, suffix in (("#save-pdb", "pdb"), ("#save-cif", "cif")):
        with page.expect_download() as download:
            page.locator(button).click()
        path = tmp_path / f"got.{suffix}"
        download.value.save_as(path)
        from protdiff.structure import read_backbone

        got, expected = read_backbone(path), read_backbone(run_folder / "design_0000.pdb")
        assert got.labels == expected.labels
        assert np.abs(got.coordinates - expected.coordinates).max() < 0.004


def measure_processors():
    """Return the seconds of processor that the descendants of this process have used."""
    children, seconds = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(folder.name))
        seconds[int(folder.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    total, left = 0.0, list(children.get(os.getpid(), []))
    while left:
        process = left.pop()
        total += seconds[process]
        left += children.get(process, [])
    return total


@pytest.mark.slow
def test_200_designs_open_within_three_seconds(open_page, tmp_path):
    generator = np.random.default_rng(0)
    for index in range(200):
        phi, psi = -62.0 + generator.normal(0, 6, 100), -42.0 + generator.normal(0, 6, 100)
        backbone = Backbone.from_coordinates(build_backbone(phi, psi))
        write_backbone(tmp_path / f"design_{index:04d}.pdb", backbone)
    path = write_report(tmp_path).page
    assert path.stat().st_size < 4 * 2**20
    best = np.inf
    for _ in range(3):
        used, begun = measure_processors(), time.perf_counter()
        open_page(path)
        # Where others use the processors too, what counts is what the page needs of them.
        took = min(time.perf_counter() - begun, measure_processors() - used)
        best = min(best, took)
        if best < OPENS_WITHIN:
            break
    assert best < OPENS_WITHIN

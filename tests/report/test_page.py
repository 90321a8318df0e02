"""The page without a browser: what is in it, what cannot get into it, and what is refused."""

import base64
import hashlib
import html.parser
import itertools
import json
import re
import sys

import numpy as np
import pytest

from protdiff.errors import DependencyError, InputError
from protdiff.evaluation import measure_backbone
from protdiff.evaluation.bands import BANDED, load_native_bands
from protdiff.report import ReportSettings, gather_designs, write_report
from protdiff.report.diversity import embed_distances, make_diversity_map
from protdiff.report.embed import find_principal_axes, pack, unpack
from protdiff.report.native import get_native_band
from protdiff.report.page import read_asset
from protdiff.report.plots import RAMACHANDRAN_BOXES
from protdiff.structure import Backbone, build_backbone, read_backbone, write_backbone


class Page(html.parser.HTMLParser):
    """Every tag with its attributes, and the text of the scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self._script = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self._script = dict(attrs)

    def handle_data(self, data):
        if self._script is not None:
            self.scripts.append((self._script, data))

    def handle_endtag(self, tag):
        if tag == "script":
            self._script = None

    @property
    def data(self):
        (text,) = (text for attrs, text in self.scripts if attrs.get("id") == "data")
        return json.loads(text)


def get_value(page, design, key):
    place = [column["key"] for column in page.data["columns"]].index(key)
    return page.data["designs"][design]["values"][place]


def read_page(folder):
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_the_page_loads_nothing_from_elsewhere(run_folder):
    write_report(run_folder)
    page = read_page(run_folder)
    assert not {"link", "iframe", "img", "object", "embed", "base"} & {t for t, _ in page.tags}
    for tag, attributes in page.tags:
        assert "src" not in attributes, tag
        target = attributes.get("href", "") + attributes.get("xlink:href", "")
        assert target == "" or target.startswith(("#", "data:")), tag
    assert "url(" not in read_asset("report.css")


def test_the_policy_allows_exactly_the_scripts_of_the_page(run_folder):
    write_report(run_folder)
    page = read_page(run_folder)
    (policy,) = (a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none'")
    programs = [text for attrs, text in page.scripts if attrs.get("type") is None]
    hashes = [base64.b64encode(hashlib.sha256(p.encode()).digest()).decode() for p in programs]
    assert len(hashes) == 2
    assert re.findall(r"'sha256-([^']+)'", policy) == hashes
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_numbers_are_those_of_evaluate(run_folder):
    write_report(run_folder)
    page = read_page(run_folder)
    for index, design in enumerate(page.data["designs"]):
        quality = measure_backbone(read_backbone(run_folder / design["file"])).to_dict()
        for column in page.data["columns"]:
            assert get_value(page, index, column["key"]) == quality[column["key"]]
        assert design["failed"] == quality["failed"]


def test_coordinates_survive_to_the_digits_of_a_pdb_file(run_folder):
    write_report(run_folder)
    for design in read_page(run_folder).data["designs"]:
        expected = read_backbone(run_folder / design["file"]).coordinates.reshape(-1, 3)
        unit = design["xyz"]["unit"]
        assert np.abs(unpack(design["xyz"]) - expected).max() <= unit / 2 + 1e-4
        assert unit <= 0.004  # strands of 40 residues are 130 Å long


def test_a_wide_thing_is_packed_coarsely_and_not_wrapped():
    x = np.array([[-900.0, 0.0, 0.0], [900.0, 1.0, 2.0]])
    assert np.abs(unpack(pack(x, 0.001)) - x).max() < 0.05


NASTY = "</script><script>alert(1)</script><img src=x onerror=alert(1)>'\"&<!--"


def test_what_a_stranger_wrote_stays_text(run_folder):
    (run_folder / "run.json").write_text(json.dumps({NASTY: NASTY, "weights": NASTY}))
    lines = (run_folder / "manifest.jsonl").read_text().splitlines()
    record = json.loads(lines[0]) | {
        "seed": NASTY,
        "motif_map": [NASTY, {"to": "x"}, {"to": 10**9}],
    }
    (run_folder / "manifest.jsonl").write_text("\n".join([json.dumps(record), *lines[1:], NASTY]))
    written = write_report(run_folder, ReportSettings(title=NASTY))
    text = written.page.read_text(encoding="utf-8")
    page = Page(text)
    assert len(page.scripts) == 3
    assert "img" not in {tag for tag, _ in page.tags}
    assert page.data["title"] == NASTY
    assert NASTY not in text


def test_half_a_character_does_not_stop_a_page(run_folder):
    (run_folder / "run.json").write_text('{"task": "generate", "length": "\\ud800"}')
    page = write_report(run_folder).page
    assert "\ud800" not in page.read_text(encoding="utf-8")


def test_names_of_files_stay_text(run_folder, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    name = "<img src=x onerror=alert(1)> $x^2$.pdb"
    (folder / name).write_bytes((run_folder / "design_0000.pdb").read_bytes())
    write_report(folder, ReportSettings(png=tmp_path / "png"))
    page = read_page(folder)
    assert "img" not in {tag for tag, _ in page.tags}
    assert page.data["designs"][0]["name"] == name


def test_points_of_the_plots_are_designs(run_folder):
    write_report(run_folder)
    page = read_page(run_folder)
    marked = [int(a["data-design"]) for t, a in page.tags if t == "use" and "data-design" in a]
    # Radius, triangle and map: each design once in each.
    assert sorted(marked) == sorted(3 * list(range(4)))
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))


def test_the_trajectory_is_embedded(run_folder):
    write_report(run_folder)
    designs = read_page(run_folder).data["designs"]
    assert [design["trajectory"] is not None for design in designs] == [False] * 3 + [True]
    assert designs[3]["trajectory"]["frames"] == 3
    assert len(unpack(designs[3]["trajectory"]["denoised"])) == 3 * 40 * 4
    assert len(unpack(designs[3]["trajectory"]["noisy"])) == 3 * 40


def test_counts_are_those_of_the_manifest(run_folder):
    collection = gather_designs(run_folder, max_designs=2)
    assert (collection.made, collection.passing, len(collection.designs)) == (4, 1, 2)


def test_missing_files_and_damaged_lines_are_survived_and_said(run_folder):
    (run_folder / "design_0001.pdb").unlink()
    (run_folder / "design_0002.pdb").write_text("torn")
    with (run_folder / "manifest.jsonl").open("a") as file:
        file.write('{"index": 9, "fi')
    collection = write_report(run_folder).collection
    assert [design.name for design in collection.designs] == ["design_0000", "design_0003"]
    said = "\n".join(collection.problems)
    for part in ("1 damaged line", "design_0001: the file is missing", "design_0002"):
        assert part in said
        assert part in (run_folder / "report.html").read_text(encoding="utf-8")


def test_rejected_designs_are_counted_and_those_that_blew_up_are_named(run_folder):
    lines = [
        {"index": 4, "file": None, "rejected": ["strand"], "quality": {"finite": True}},
        {"index": 5, "file": None, "rejected": ["strand"], "quality": {"finite": True}},
        {"index": 6, "file": None, "quality": {"finite": False}},
    ]
    with (run_folder / "manifest.jsonl").open("a") as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines))
    collection = gather_designs(run_folder)
    assert collection.problems == [
        "2 designs were rejected by the filter (strand)",
        "design 6 came out without finite coordinates",
    ]
    assert (collection.made, len(collection.designs)) == (7, 4)


@pytest.mark.parametrize("above", [False, True])
def test_several_runs_are_read_by_their_manifests(two_runs, tmp_path, above):
    collection = gather_designs(tmp_path if above else two_runs)
    names = [design.name for design in collection.designs]
    assert names == [f"{run}/run/design_{k:04d}" for run in "ab" for k in range(4)]
    assert (collection.made, collection.passing, collection.settings) == (8, 2, {})
    # A right-handed helix is a fault of D-proteins.
    faults = ["left_handed" in design.quality.failed for design in collection.designs]
    assert faults == [False] * 4 + [False, True] * 2
    motifs = [design.backbone.motif_mask.any() for design in collection.designs]
    assert motifs == [False] * 4 + [True] * 4
    shown = [design.name for design in collection.designs if design.trajectory is not None]
    assert shown == names[3::4]


def test_a_run_beside_a_file_of_its_own_is_the_run(run_folder):
    alone = gather_designs(run_folder)
    beside = gather_designs([run_folder / "design_0001.pdb", run_folder, run_folder])
    assert (beside.made, beside.passing, beside.settings) == (4, 1, alone.settings)
    assert [design.name for design in beside.designs] == [
        f"design_{index:04d}" for index in (1, 0, 2, 3)
    ]


def test_a_design_of_no_known_hand_is_left_out_and_said(run_folder):
    manifest = run_folder / "manifest.jsonl"
    first, *others = manifest.read_text().splitlines()
    odd = json.dumps(json.loads(first) | {"handedness": "X"})
    manifest.write_text("\n".join([odd, *others]) + "\n")
    collection = gather_designs(run_folder)
    assert "design_0000: handedness is 'X'; give L or D" in collection.problems
    assert len(collection.designs) == 3


@pytest.mark.parametrize("damaged", [7, [{"from": "A1", "to": 4}, {"from": "A2"}]])
def test_a_design_of_a_damaged_motif_is_shown_without_one_and_said(run_folder, damaged):
    manifest = run_folder / "manifest.jsonl"
    first, second, *others = map(json.loads, manifest.read_text().splitlines())
    first["motif_map"] = damaged
    second["motif_map"] = [{"from": "A1", "to": 4}]
    manifest.write_text("\n".join(map(json.dumps, [first, second, *others])) + "\n")
    collection = gather_designs(run_folder)
    (problem,) = collection.problems
    assert problem.startswith("design_0000: shown without its motif: manifest.jsonl: ")
    motifs = [np.flatnonzero(d.backbone.motif_mask).tolist() for d in collection.designs]
    assert motifs == [[], [3], [], []]


def test_a_report_replaces_a_report_and_nothing_else(run_folder):
    write_report(run_folder)
    write_report(run_folder)
    mine = run_folder / "notes.html"
    mine.write_text("my notes")
    with pytest.raises(InputError, match="not written by protdiff report"):
        write_report(run_folder, ReportSettings(out=mine))
    assert mine.read_text() == "my notes"
    write_report(run_folder, ReportSettings(out=mine, overwrite=True))
    assert "protdiff report" in mine.read_text(encoding="utf-8")


def test_figures_for_papers(run_folder, tmp_path):
    folder = tmp_path / "figures"
    figures = write_report(run_folder, ReportSettings(png=folder)).figures
    assert len(figures) == 13
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in figures)
    write_report(run_folder, ReportSettings(png=folder))
    figures[0].write_text("a drawing of mine")
    with pytest.raises(InputError, match="not written by protdiff report"):
        write_report(run_folder, ReportSettings(png=folder))


@pytest.mark.parametrize("module", ["jinja2", "matplotlib"])
def test_a_missing_package_is_named_with_its_extra(run_folder, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DependencyError, match=r"protdiff\[report\]"):
        write_report(run_folder)


def test_the_boxes_drawn_hold_the_share_that_is_reported(run_folder):
    for design in gather_designs(run_folder).designs:
        both = np.isfinite(design.phi) & np.isfinite(design.psi)
        phi, psi = design.phi[both], design.psi[both]
        inside = np.zeros(len(phi), dtype=bool)
        for left, right, low, high in itertools.chain(*RAMACHANDRAN_BOXES.values()):
            inside |= (phi > left) & (phi < right) & (psi > low) & (psi < high)
        assert inside.mean() == pytest.approx(design.quality.ramachandran)


def test_a_map_keeps_distances_in_a_plane():
    points = np.random.default_rng(0).normal(size=(9, 2))
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    found, kept = embed_distances(distances)
    assert np.allclose(np.linalg.norm(found[:, None] - found[None], axis=-1), distances)
    assert kept == pytest.approx(1.0)


@pytest.mark.parametrize("num", [1, 2, 3])
def test_a_map_of_few_designs(num):
    designs = np.cumsum(np.random.default_rng(0).normal(size=(num, 30, 4, 3)), axis=1)
    found = make_diversity_map(list(designs))
    assert found.points.shape == (num, 2)
    assert np.isfinite(found.points).all()


def test_d_proteins_are_compared_by_their_mirror_images(tmp_path):
    helix = Backbone.from_coordinates(build_backbone(np.full(40, -57.0), -47.0))
    mirrored = helix.with_coordinates(helix.coordinates * np.array([-1, 1, 1], np.float32))
    lines = []
    for index, (backbone, hand) in enumerate(((helix, "L"), (mirrored, "D"))):
        file = f"design_{index:04d}.pdb"
        write_backbone(tmp_path / file, backbone)
        lines.append(json.dumps({"index": index, "file": file, "handedness": hand}))
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines))
    write_report(tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "mean of all pairs 0.00" in page
    one, other = gather_designs(tmp_path).designs
    np.testing.assert_array_equal(one.judged, other.judged)


def test_views_are_rotations(run_folder):
    for design in gather_designs(run_folder).designs:
        axes = find_principal_axes(design.backbone)
        assert np.allclose(axes @ axes.T, np.eye(3))
        assert np.linalg.det(axes) == pytest.approx(1.0)
        alpha = design.backbone.coordinates[:, 1] @ axes.T
        assert (np.diff(np.ptp(alpha, axis=0)) < 0).all()
        right, up, _ = alpha[0] - alpha.mean(0)
        assert right < 0 < up  # the chain begins on the left, above


@pytest.mark.parametrize("length", [40, 100, 250])
@pytest.mark.parametrize("quantity", BANDED)
def test_bands_are_those_of_evaluation_closed(quantity, length):
    low, high = get_native_band(quantity, length)
    band = load_native_bands().find(length).bands[quantity]
    assert low == (0.0 if band.low is None else band.low)
    assert high == (1.0 if band.high is None else band.high)


def test_a_length_without_bands_has_none():
    assert get_native_band("helix", 100_000) is None


def test_the_vendored_viewer_is_what_the_record_says():
    record = json.loads(read_asset("3Dmol.json"))
    for name, expected in record["sha256"].items():
        assert hashlib.sha256(read_asset(name).encode()).hexdigest() == expected


def test_the_licence_is_in_the_page(run_folder):
    write_report(run_folder)
    assert "University of Pittsburgh" in (run_folder / "report.html").read_text(encoding="utf-8")

"""Shapes: filling, transport, laws, an exact prior, and what cannot be."""

import numpy as np
import pytest
import torch

import protdiff.conditioning.shape as module
from protdiff.conditioning import Shape
from protdiff.conditioning.shape import transport
from protdiff.errors import InputError
from protdiff.structure import Backbone, build_backbone, write_backbone
from protdiff.structure.points import fill_shape, read_points


def make_box(sides, count=2000, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (count, 3)) * sides


def make_sphere(count):
    points = np.random.default_rng(0).normal(size=(count, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@pytest.mark.parametrize("count", [500, 3000])
def test_a_surface_is_filled(count):
    filled = fill_shape(make_sphere(count))
    radius = np.sqrt((filled.points**2).sum(1).mean())
    # Of a ball, of its own volume; of the sphere alone it is 1.
    ball = np.sqrt(3 / 5) * (filled.volume / (4 / 3 * np.pi)) ** (1 / 3)
    assert radius == pytest.approx(ball, rel=0.02)
    assert ball == pytest.approx(np.sqrt(3 / 5), rel=0.2)
    assert np.abs(filled.points.mean(0)).max() < 1e-9
    assert 200 < len(filled.points) <= 400


def test_a_cloud_keeps_its_form(laws):
    box = make_box([3.0, 2.0, 1.0]) @ laws.random_rotation(2).numpy().T + 50.0
    filled = fill_shape(box)
    spread = np.sqrt(np.linalg.eigvalsh(np.cov(filled.points.T)))
    scale = (filled.volume / 6.0) ** (1 / 3)
    assert 0.95 < scale < 1.2
    assert spread / scale == pytest.approx(np.array([1, 2, 3]) / np.sqrt(12), rel=0.1)


def test_transport_is_zero_for_the_body_itself_in_any_pose(laws, monkeypatch):
    monkeypatch.setattr(module, "_BLUR", 0.3)
    body = torch.from_numpy(make_box([30.0, 20.0, 12.0], 80))[None]
    body = body - body.mean(1, keepdim=True)
    mask = torch.ones(1, 80, dtype=torch.bool)
    for seed in range(3):
        turned = body @ laws.random_rotation(seed).mT + 9.0
        # What is left is the entropy of a plan that is one to one.
        assert float(transport(turned, mask, body)) < 0.3 * np.log(80) + 0.1
    assert float(transport(1.2 * body, mask, body)) > 4.0


@pytest.fixture
def patient(monkeypatch):
    """Iterate to convergence: the laws hold at the minimum."""
    monkeypatch.setattr(module, "_STEPS", 200)
    monkeypatch.setattr(module, "_COARSE_STEPS", 50)
    monkeypatch.setattr(module, "_ROUNDS", 20)
    monkeypatch.setattr(module, "_POINTS", 30)


def test_laws(laws, tiny_model, patient):
    lengths = [20, 16]
    walks = laws.make_walks(lengths, step=0.2)
    make_term = Shape(make_box([3.0, 2.0, 1.0])).make_term
    term = make_term(laws.make_scene(tiny_model, lengths))
    laws.hold_gradient(term, walks, tolerance=1e-3, noises=(0.5,))
    laws.hold_pose(term, walks, tolerance=1e-6)
    laws.hold_batch(make_term, tiny_model, lengths, walks)
    laws.hold_silence(term, walks)


def test_pose_of_the_body_changes_little(laws, tiny_model):
    box = make_box([3.0, 2.0, 1.0])
    moved = 7.0 * box @ laws.random_rotation(6).numpy().T - 4.0
    walk = laws.make_walks([40])
    scene = laws.make_scene(tiny_model, [40])
    plain, other = (laws.evaluate(Shape(one).make_term(scene), walk) for one in (box, moved))
    assert torch.allclose(plain, other, rtol=0.1)  # another grid fills it


def test_samples_of_a_chain_fill_the_body(laws, tiny_model):
    """The prior is a polymer, its denoiser exact: guidance alone must bring the shape."""
    shape = Shape(make_box([4.0, 1.5, 1.0]))
    scene = laws.make_scene(tiny_model, [40] * 4)
    polymers = laws.make_polymers(scene, decay=0.97)
    body = shape.scale_to(40).float().repeat(4, 1, 1)

    def measure(denoiser):
        made = polymers.sample(denoiser)
        return transport(made.mean(2) * tiny_model.scale, scene.residue_mask, body)

    assert measure(polymers.guide(shape)).mean() < 0.5 * measure(polymers.free).mean()


def test_files(tmp_path):
    points = make_box([3.0, 2.0, 1.0], 50).round(6)
    rows = [" ".join(map(str, point)) for point in points]
    np.save(tmp_path / "cloud.npy", points)
    (tmp_path / "cloud.xyz").write_text("50\nbox\n" + "\n".join(f"C {row}" for row in rows))
    (tmp_path / "cloud.csv").write_text(
        "x,y,z\n" + "\n".join(row.replace(" ", ",") for row in rows)
    )
    (tmp_path / "cloud.obj").write_text(
        "# box\n" + "\n".join(f"v {row}" for row in rows) + "\nvn 0 0 1\nf 1 2 3\n"
    )
    header = "ply\nformat ascii 1.0\nelement vertex 50\n"
    header += "".join(f"property float {name}\n" for name in "xyz")
    header += "element face 1\nproperty list uchar int vertex_index\nend_header\n"
    (tmp_path / "cloud.ply").write_text(header + "\n".join(rows) + "\n3 0 1 2\n")
    for suffix in ("npy", "xyz", "csv", "obj", "ply"):
        assert np.array_equal(read_points(tmp_path / f"cloud.{suffix}"), points), suffix
    (tmp_path / "cloud.csv").write_text("\ufeff" + "\n".join(rows))  # of a spreadsheet
    assert np.array_equal(read_points(tmp_path / "cloud.csv"), points)
    helix = Backbone.from_coordinates(build_backbone([-60.0] * 12, -45.0))
    write_backbone(tmp_path / "helix.pdb", helix)
    assert (
        np.abs(read_points(tmp_path / "helix.pdb") - helix.coordinates.reshape(-1, 3)).max() < 2e-3
    )


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.stl", "solid", "no cloud of points that can be read"),
        ("a.xyz", "", "is of shape"),
        ("a.xyz", "1 2 3\n4 5", "line 2 has no three numbers"),
        ("a.obj", "v 1 2", "is no point"),
        ("a.ply", "ply\nformat binary_little_endian 1.0\n", "text form"),
        ("a.npy", "not numpy", "holds no cloud of points"),
        (
            "a.ply",
            "ply\nformat ascii 1.0\nelement vertex\nproperty float x\nproperty float y\n"
            "property float z\nend_header\n",
            "holds no cloud of points",
        ),
        ("a.csv", "\n".join(f"{k},{k * k},0" for k in range(20)), "lies in a plane"),
        ("a.csv", "\n".join("1,2,nan" for _ in range(20)), "no finite number"),
    ],
)
def test_files_that_are_no_cloud_are_refused(tmp_path, name, text, reason):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=reason):
        Shape(tmp_path / name)


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.xyz cannot be read"):
        Shape(tmp_path / "none.xyz")
    with pytest.raises(InputError, match="size"):
        Shape(make_box([1, 1, 1]), size=0)
    with pytest.raises(InputError, match="tolerance"):
        Shape(make_box([1, 1, 1]), tolerance=0)


def test_size():
    shape = Shape(make_box([3.0, 2.0, 1.0]), size=15.0)
    for length in (40, 80):
        assert shape.scale_to(length).square().sum(1).mean().sqrt() == pytest.approx(15.0)
    free = Shape(make_box([3.0, 2.0, 1.0]))
    assert float((free.scale_to(80) / free.scale_to(40)).mean()) == pytest.approx(2 ** (1 / 3))
    # 40 residues of 150 Å³ fill 30 Å by 20 by 10.
    spread = free.scale_to(40).square().sum(1).mean().sqrt()
    assert float(spread) == pytest.approx(((30**2 + 20**2 + 10**2) / 12) ** 0.5, rel=0.03)
    assert free.describe()["points"] == "points"

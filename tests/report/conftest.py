import json

import numpy as np
import pytest

from protdiff.structure import Backbone, build_backbone, write_backbone, write_trajectory


def make_run(folder, *, num=4, length=40, extra=None):
    """Write a run of helices and strands, as `generate` would."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    generator = np.random.default_rng(0)
    for index in range(num):
        phi, psi = (-62.0, -42.0) if index % 2 else (-120.0, 130.0)
        torsions = (centre + generator.normal(0, 5, length) for centre in (phi, psi))
        backbone = Backbone.from_coordinates(build_backbone(*torsions))
        file = f"design_{index:04d}.pdb"
        write_backbone(folder / file, backbone)
        record = {"index": index, "file": file, "seed": 0, "quality": {"passes": index == 0}}
        lines.append(json.dumps(record | (extra or {})))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "run.json").write_text(
        json.dumps({"task": "generate", "weights": "tiny", "weights_sha256": "0" * 64})
    )
    frames = [backbone.with_coordinates(backbone.coordinates * s) for s in (0.5, 0.8, 1.0)]
    for kind in ("noisy", "denoised"):
        write_trajectory(folder / "trajectories" / f"design_{num - 1:04d}_{kind}.pdb", frames)
    return folder


@pytest.fixture
def run_folder(tmp_path):
    """Return the folder of a run of four designs, the last with a trajectory of three frames."""
    return make_run(tmp_path / "run")


@pytest.fixture
def two_runs(tmp_path):
    """Return the folders of a run and of one of D-proteins with a motif, both called ``run``."""
    extra = {"handedness": "D", "motif_map": [{"from": "A1", "to": 4}]}
    return make_run(tmp_path / "a" / "run"), make_run(tmp_path / "b" / "run", extra=extra)

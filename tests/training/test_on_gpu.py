"""Training on a GPU, pretended: the same losses, and a step for which the host waits nowhere."""

from dataclasses import replace

import pytest

from protdiff.training.trainer import Trainer


@pytest.mark.parametrize(
    "manner", [{}, {"precision": "bfloat16", "accumulate": 2}], ids=["float32", "bfloat16"]
)
def test_a_step_waits_for_nothing(gpu, config, tmp_path, manner):
    losses = {}
    for device in ("cuda", "cpu"):
        trainer = Trainer(replace(config, device=device, out=str(tmp_path / device), **manner))
        gpu.clear()
        losses[device] = [trainer.step()[0] for _ in range(4)]  # with and without a first estimate
    assert not gpu.waits
    assert [float(loss) for loss in losses["cuda"]] == pytest.approx(
        [float(loss) for loss in losses["cpu"]], rel=2e-3
    )


def test_a_run_goes_on_where_it_stopped(gpu, config, tmp_path):
    """What is saved and read back, measured and kept goes between the devices."""
    half = replace(config, device="cuda", steps=4, decay_steps=1, keep_every=4, evaluate_every=4)
    Trainer(half).run()
    whole = Trainer(replace(half, steps=6))
    assert whole.progress.step == 4
    whole.run()
    assert {path.name for path in (tmp_path / "run").glob("weights*")} == {
        "weights-0000004.safetensors",
        "weights.safetensors",
    }

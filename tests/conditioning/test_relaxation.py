"""Relaxation around a motif: it mends, it moves nothing that is sound, and it turns along."""

import numpy as np
import pytest

from protdiff.conditioning.relaxation import relax_designed
from protdiff.evaluation import measure_quality
from protdiff.evaluation.seams import measure_seams
from protdiff.structure import build_backbone, superimpose


@pytest.fixture
def helix():
    return build_backbone(np.full(30, -60.0), np.full(30, -45.0))[:, :3].astype(np.float32)


@pytest.fixture
def motif_mask():
    return (np.arange(30) >= 10) & (np.arange(30) < 20)


@pytest.fixture
def strained(helix):
    """Shift what follows the motif by a fraction of an Å, and with it strain the seam."""
    strained = helix.copy()
    strained[20:] += np.float32([0.2, -0.1, 0.15])
    return strained


def test_what_is_sound_stays(helix, motif_mask):
    assert np.abs(relax_designed(helix, motif_mask, np.arange(30)) - helix).max() < 1e-5


def test_seams_are_mended_and_the_motif_stays(strained, motif_mask):
    index = np.arange(30)
    assert not measure_seams(strained, motif_mask).sound
    relaxed = relax_designed(strained, motif_mask, index)
    assert measure_seams(relaxed, motif_mask).sound
    assert (relaxed[motif_mask] == strained[motif_mask]).all()
    assert measure_quality(relaxed).links == 1.0
    assert np.linalg.norm(relaxed - strained, axis=-1).max() < 0.3


@pytest.mark.parametrize("third", [0.0, 90.0])
def test_clashes_are_relieved(helix, motif_mask, third):
    """Wherever the middle of the whole is: of two chains between them, of three elsewhere."""
    # A second chain beside the motif, pushed 0.6 Å into it from where their atoms would touch.
    chains = 3 if third else 2
    index = np.concatenate([np.arange(30) + 300 * k for k in range(chains)])
    mask = np.concatenate([motif_mask, np.zeros(30 * (chains - 1), bool)])
    axis = helix[20:].mean(axis=(0, 1)) - helix[:10].mean(axis=(0, 1))
    across = np.cross(axis, [1.0, 0.3, 0.0])
    across /= np.linalg.norm(across)
    for distance in np.arange(8.0, 4.0, -0.1):
        both = np.concatenate([helix, helix + distance * across])
        both = np.concatenate([both, helix + third * across])[: 30 * chains].astype(np.float32)
        if measure_seams(both, mask, index).motif_clashes:
            break
    relaxed = relax_designed(both, mask, index)
    assert measure_seams(relaxed, mask, index).motif_clashes == 0
    assert np.abs(relaxed[60:] - both[60:]).max(initial=0.0) < 1e-4
    assert measure_quality(relaxed, index).links == 1.0


def test_a_break_is_not_closed(helix, motif_mask):
    helix[20:] += np.float32([5.0, 0.0, 0.0])
    index = np.arange(30) + 200 * (np.arange(30) >= 20)
    assert np.abs(relax_designed(helix, motif_mask, index) - helix).max() < 1e-5


def test_it_turns_with_the_design(strained, motif_mask):
    turn, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))
    relaxed = relax_designed(strained, motif_mask, np.arange(30))
    turned = relax_designed(strained @ turn.T.astype(np.float32) + 9, motif_mask, np.arange(30))
    assert np.abs(turned - (relaxed @ turn.T + 9)).max() < 2e-3
    assert superimpose(strained[20:], relaxed[20:]).rmsd < 0.2

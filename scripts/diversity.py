"""How different designs are from each other, and from the chains that a model was trained on.

    python scripts/diversity.py designs
    python scripts/diversity.py designs --reference prepared.safetensors --num 10

TM-scores are those of TM-align (Zhang and Skolnick 2005) through tmtools, normalised by the shorter
chain. Clusters are greedy: the design with the most others above the threshold takes them along.
Novelty is the largest TM-score of a design to any training chain of the prepared file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tmtools import tm_align

from protdiff.structure import find_structure_files, read_backbone
from protdiff.training.dataset import load_dataset

Trace = NDArray[np.float64]


def get_tm_score(one: Trace, other: Trace) -> float:
    """Return the TM-score of two CA traces, (residue, 3) each, normalised by the shorter."""
    result = tm_align(one, other, "A" * len(one), "A" * len(other))
    return float(max(result.tm_norm_chain1, result.tm_norm_chain2))


def count_clusters(scores: NDArray[np.float64], threshold: float) -> int:
    """Return the number of greedy clusters of a symmetric (design, design) table of TM-scores."""
    left, clusters = set(range(len(scores))), 0
    while left:
        centre = max(sorted(left), key=lambda k: sum(scores[k, j] >= threshold for j in left))
        left -= {j for j in left if scores[centre, j] >= threshold} | {centre}
        clusters += 1
    return clusters


def main() -> None:
    """Print the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="structures")
    parser.add_argument("--threshold", type=float, default=0.6, help="of a cluster")
    parser.add_argument("--reference", type=Path, help="prepared data, for novelty")
    parser.add_argument("--num", type=int, default=10, help="designs whose novelty is measured")
    options = parser.parse_args()
    files = sorted(find_structure_files([options.folder]))
    traces = [read_backbone(file).coordinates[:, 1].astype(np.float64) for file in files]
    scores = np.eye(len(traces))
    for i, j in zip(*np.tril_indices(len(traces), -1), strict=True):
        scores[i, j] = scores[j, i] = get_tm_score(traces[i], traces[j])
    pairs = scores[np.tril_indices(len(traces), -1)]
    print(f"designs              {len(traces)}")
    print(f"mean pairwise TM     {pairs.mean():.3f} (largest {pairs.max():.3f})")
    print(f"clusters per design  {count_clusters(scores, options.threshold) / len(traces):.2f}")
    if options.reference is None:
        return
    training, _ = load_dataset(options.reference)
    reference = [training.get(k)[:, 1].double().numpy() for k in range(len(training))]
    for file, trace in list(zip(files, traces, strict=True))[: options.num]:
        novelty = [get_tm_score(trace, chain) for chain in reference]
        nearest = int(np.argmax(novelty))
        print(f"{file.name}  nearest {training.ids[nearest]}  TM {novelty[nearest]:.3f}")


if __name__ == "__main__":
    main()

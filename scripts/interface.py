"""How a chain is packed, by itself and against other chains."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from protdiff.structure import radius_of_gyration
from protdiff.structure.geometry import count_contacts
from protdiff.structure.size import expect_radius

CONTACT = 8.0  # Å, between alpha carbons


def measure_chain(chain: ArrayLike, others: ArrayLike) -> dict[str, float]:
    """Measure a chain beside others.

    Parameters
    ----------
    chain, others
        Alpha carbons, (residue, 3), Å.

    Returns
    -------
    dict
        Contacts across and within for each residue of the chain, the share of its residues that
        have one across (the interface), and its radius of gyration over that of globular proteins.
    """
    own, other = np.asarray(chain, dtype=float), np.asarray(others, dtype=float)
    across = (np.linalg.norm(own[:, None] - other, axis=-1) < CONTACT).sum(axis=1)
    return {
        "contacts across": float(across.mean()),
        "interface": float((across > 0).mean()),
        "contacts within": float(count_contacts(own).mean()),
        "Rg of the chain": float(radius_of_gyration(own) / expect_radius(len(own))),
    }

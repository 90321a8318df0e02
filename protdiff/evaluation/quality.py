"""What quick numbers there are on one backbone, and the checks that it must pass.

No single number tells a protein from a tangle: chains with shuffled torsions have perfect bonds,
mirror images have everything but the hand, random compact walks have the radius of gyration. So
one call measures bonds, angles, peptide planes, the Ramachandran plot, the hand of helices,
clashes, compactness and hydrogen-bonded secondary structure. What natural proteins show is in
:data:`NATIVE`; what makes a design fail is a named constant each. How they are measured is in
:mod:`protdiff.evaluation.measure`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

__all__ = ["NATIVE", "Quality"]

BROKEN_ABOVE_CA_CA = 4.2
BROKEN_ABOVE_C_N = 2.0
"""A chain with a longer step or peptide bond (Å) is broken."""

DISTORTED_BELOW = 0.9
"""Share of links in band under which a chain is distorted, though it hang together; 95 % of natural
chains have .99."""

LEFT_HELIX_ABOVE = 0.15
"""Share of residues in left-handed helices by the CA trace; an odd turn is not held against it."""

CLASHING_ABOVE = 1.0
"""Clashes per 100 residues; 95 % of crystal structures have at most .48."""

EXTENDED_ABOVE = 1.25
COLLAPSED_BELOW = 0.90
"""Rg / (2.2 L^.38) of a chain that is not compact, and of one packed tighter than any protein."""

TARGET_CLASH_BELOW = 2.5
"""Å between backbone atoms of a design and of its target; within a protein such a pair clashes."""

NATIVE: dict[str, str] = {
    "links": "≥ .99",
    "n_ca": "1.460±.013",
    "ca_c": "1.524±.014",
    "c_n": "1.331±.012",
    "n_ca_c": "110.9±3.0",
    "ca_c_n": "116.7±1.9",
    "c_n_ca": "121.8±2.1",
    "ca_ca": "3.807±.030",
    "omega": "−0.7±5.0",
    "cis": ".004",
    "ramachandran": ".93–.95",
    "phi_positive": ".034–.129",
    "left_handed_runs": "0",
    "clashes": ".04 (95 %: .48)",
    "rg_ratio": ".95–1.25",
    "contacts": "1.7–4.7",
    "helix": ".27–.44",
    "strand": ".19–.30",
}
"""What natural single-domain chains show (means and spreads, or the 5–95 % range)."""


@dataclasses.dataclass(frozen=True)
class Quality:
    """What was measured on one backbone; NaN where there is nothing to measure.

    Shares are of 1. Lengths are in Å, angles in degrees; ``*_sd`` is the standard deviation over
    the chain.
    """

    length: int
    """Residues."""
    finite: bool
    """Every coordinate is a finite number, and none so large that no structure file holds it."""
    links: float
    """Share of chain links with both C–N and CA–CA in band (1.33±.06 and 3.81±.15 Å)."""
    links_c_n: float
    """Share of chain links with C–N in band."""
    links_ca_ca: float
    """Share of chain links with CA–CA in band."""
    longest_c_n: float
    """The longest peptide bond."""
    longest_ca_ca: float
    """The longest step from CA to CA."""
    n_ca: float
    """Mean N–CA bond; ``ca_c`` and ``c_n`` are the same of CA–C and of the peptide bond C–N."""
    n_ca_sd: float
    ca_c: float
    ca_c_sd: float
    c_n: float
    c_n_sd: float
    ca_ca: float
    """Mean step from CA to CA over trans links."""
    ca_ca_sd: float
    n_ca_c: float
    """Mean angle N–CA–C; ``ca_c_n`` and ``c_n_ca`` are the same of CA–C–N and of C–N–CA."""
    n_ca_c_sd: float
    ca_c_n: float
    ca_c_n_sd: float
    c_n_ca: float
    c_n_ca_sd: float
    omega: float
    """Mean of omega − 180° over trans links."""
    omega_sd: float
    planar: float
    """Share of links with ``|omega|`` above 155°."""
    cis: float
    """Share of links with ``|omega|`` below 30°."""
    ramachandran: float
    """Share of residues in the favoured boxes of the Ramachandran plot."""
    phi_positive: float
    """Share of residues with phi above 0."""
    left_handed_runs: int
    """Residues in runs of four or more at left-handed helix torsions."""
    helix_right: float
    """Share of residues in right-handed helices by the CA trace."""
    helix_left: float
    """Share of residues in left-handed helices by the CA trace."""
    clashes: float
    """Clashing pairs of atoms per 100 residues."""
    rg: float
    """Radius of gyration of the alpha carbons."""
    rg_ratio: float
    """Rg over 2.2 L^.38, the law of globular proteins."""
    contacts: float
    """CA contacts (8 Å, six or more apart along the chain) per residue, in both directions."""
    contact_order: float
    """Relative contact order: mean separation along the chain of residues in contact, over the
    chain's length (Plaxco et al. 1998)."""
    helix: float
    """Share of helix by hydrogen bonds (pydssp)."""
    strand: float
    """Share of strand by hydrogen bonds (pydssp)."""
    partner_gap: float = math.nan
    """Distance of the nearest backbone atoms of a design and of its target; NaN without a target.
    A structure file does not tell it, so that it comes from where the design was made."""

    @property
    def failed(self) -> tuple[str, ...]:
        """The checks that the backbone fails: none, for a good one."""
        if not self.finite:
            return ("non_finite",)
        checks = {
            "broken": self.longest_ca_ca > BROKEN_ABOVE_CA_CA
            or self.longest_c_n > BROKEN_ABOVE_C_N,
            "distorted": self.links < DISTORTED_BELOW,
            "left_handed": self.left_handed_runs > 0
            or self.helix_left > max(LEFT_HELIX_ABOVE, self.helix_right),
            "clashing": self.clashes > CLASHING_ABOVE,
            "not_compact": self.rg_ratio > EXTENDED_ABOVE,
            "collapsed": self.rg_ratio < COLLAPSED_BELOW,
            "target_clash": self.partner_gap < TARGET_CLASH_BELOW,
        }
        return tuple(name for name, fails in checks.items() if fails)

    @property
    def passes(self) -> bool:
        """Whether no check fails."""
        return not self.failed

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers and the verdict as JSON knows them: rounded, None for NaN."""
        numbers = {name: _round(value) for name, value in dataclasses.asdict(self).items()}
        return {"passes": self.passes, "failed": list(self.failed), **numbers}


def _round(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value

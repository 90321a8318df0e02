"""The example of a guidance of one's own works, and is as short as promised."""

import math
import runpy
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "custom_guidance.py"


def test_example():
    namespace = runpy.run_path(str(EXAMPLE))
    points = namespace["main"](number=400)
    radii, angles = points.norm(dim=1), points[:, 1].atan2(points[:, 0])
    assert abs(float(radii.mean()) - 1.0) < 0.05
    assert float(radii.std()) < 0.1
    # All round: no direction was asked for.
    assert abs(float(angles.cos().mean())) < 5 * math.sqrt(0.5 / 400)


def test_example_prints(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE)])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert capsys.readouterr().out.startswith("radius 1.0")


def test_the_guidance_itself_is_fifteen_lines():
    source = EXAMPLE.read_text(encoding="utf-8")
    lines = source[source.index("class OnCircle") : source.index("def main")].strip().splitlines()
    assert len(lines) <= 15

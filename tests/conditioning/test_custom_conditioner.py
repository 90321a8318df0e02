"""The example of a conditioner of one's own works, and is as short as promised."""

import runpy
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "custom_conditioner.py"


def test_example(designer):
    namespace = runpy.run_path(str(EXAMPLE))
    options = {"steps": 10, "step_scale": 1.0}
    free = designer.generate(40, 4, **options)
    bound = designer.generate(40, 4, conditioners=[namespace["EndsMeet"]()], **options)
    misses = [
        sum(abs(distance - 8.0) for distance in namespace["measure_ends"](designs))
        for designs in (free, bound)
    ]
    assert misses[1] < 0.5 * misses[0]


def test_the_conditioner_itself_is_fifteen_lines():
    source = EXAMPLE.read_text(encoding="utf-8")
    lines = source[source.index("class EndsMeet") : source.index("def main")].splitlines()
    assert len([line for line in lines if line.strip()]) <= 15

import json
import re
import sys

import numpy as np
import pytest

from protdiff.errors import DependencyError, InputError
from protdiff.structure import Backbone


@pytest.fixture
def motif(helix):
    return Backbone.from_coordinates(
        helix.coordinates, motif_mask=np.arange(24) < 3, residue_index=[*range(20), *range(25, 29)]
    )


def get_styles(html):
    return re.findall(r"setStyle\((.*)\);", html)


def get_pdb(html):
    return json.loads(re.search(r"addModel\((\".*?\"),", html)[1])


def test_structure_and_motif_have_colours(helix, motif):
    pytest.importorskip("py3Dmol")
    assert '"prop": "ss"' in get_styles(helix._repr_html_())[0]
    _, given = get_styles(motif._repr_html_())
    assert json.loads(given.split("}")[0] + "}") == {"resi": [1, 2, 3]}
    assert '"prop": "ss"' in get_styles(motif.view("structure").write_html())[0]
    assert '"chain"' in get_styles(motif.view("chain").write_html())[0]
    with pytest.raises(InputError, match="color is 'red'; give structure, motif, chain"):
        helix.view("red")


def test_what_is_shown_is_the_backbone(motif):
    pytest.importorskip("py3Dmol")
    lines = [line for line in get_pdb(motif._repr_html_()).splitlines() if line[:4] == "ATOM"]
    x = np.array([[float(line[i : i + 8]) for i in (30, 38, 46)] for line in lines])
    expected = motif.coordinates - motif.coordinates.mean((0, 1))
    np.testing.assert_allclose(x.reshape(24, 4, 3), expected, atol=1e-3)
    # The break shows as a jump of the numbers, which no ribbon bridges.
    assert [int(line[22:26]) for line in lines][::4] == [*range(1, 21), *range(26, 30)]


def test_names_of_files_do_not_reach_the_page(helix):
    pytest.importorskip("py3Dmol")
    evil = "</script><script>alert(1)</script>"
    odd = Backbone.from_coordinates(
        helix.coordinates + 5000.0, chain_id=evil, residue_name=evil, name=evil
    )
    assert "alert" not in odd._repr_html_()


def test_many_residues_still_fit_the_columns(helix):
    pytest.importorskip("py3Dmol")
    jumps = Backbone.from_coordinates(helix.coordinates, residue_index=np.arange(24) * 1000)
    lines = [line for line in get_pdb(jumps._repr_html_()).splitlines() if line[:4] == "ATOM"]
    assert [int(line[22:26]) for line in lines][::4] == list(range(1, 25))


def test_what_cannot_be_drawn_is_text(helix):
    nowhere = helix.with_coordinates(helix.coordinates * np.nan)
    assert nowhere._repr_html_() is None
    with pytest.raises(InputError, match="not finite"):
        nowhere.view()


def test_without_py3dmol_there_is_text_and_a_word_on_the_extra(helix, monkeypatch):
    monkeypatch.setitem(sys.modules, "py3Dmol", None)
    assert helix._repr_html_() is None
    with pytest.raises(DependencyError, match=r"pip install 'protdiff\[notebook\]'"):
        helix.show()


def test_show_outside_of_a_notebook_says_what_to_do(helix, monkeypatch):
    module = pytest.importorskip("py3Dmol")
    monkeypatch.setattr(module, "_has_IPython", False)
    with pytest.raises(DependencyError, match="write_html"):
        helix.show()

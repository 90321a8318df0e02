"""What users and pipelines rely on, command by command: codes, quick starts, plain output."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "e3nn", "biotite", "rich.progress")


@pytest.fixture
def place(tmp_path, monkeypatch, helix_file):
    """Return a folder with a sound structure, garbage, and a file where a folder is wanted."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "helix.pdb").write_bytes(helix_file.read_bytes())
    (tmp_path / "garbage.pdb").write_bytes(b"\0garbage")
    (tmp_path / "file").write_text("a file")
    (tmp_path / "run.toml").write_text('data = "nowhere.safetensors"\nout = "run"')
    (tmp_path / "empty").mkdir()
    return tmp_path


GENERATE = ("generate", "--length", "40", "--steps", "2", "--num", "1")
SCAFFOLD = ("scaffold", "helix.pdb", "--contig", "10/A1-20/10", "--steps", "2", "--num", "1")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--version",), 0),
        (("--help",), 0),
        (("nothing",), 2),
        ((*GENERATE, "--nmu", "3"), 2),
        (("generate", "--length", "x"), 2),
        ((*GENERATE, "--weights", "missing.safetensors"), 2),
        ((*GENERATE, "--out", "file/inside"), 2),
        ((*SCAFFOLD, "--out", "file/inside"), 2),
        (("scaffold", "missing.pdb", "--contig", "10/A1-20/10"), 2),
        (("scaffold", "garbage.pdb", "--contig", "10/A1-20/10"), 2),
        (("scaffold", "helix.pdb"), 2),
        (("scaffold", "helix.pdb", "--contig", "10/B1-20/10"), 2),
        ((*SCAFFOLD, "--weights", ""), 2),
        (("generate", "--weights", ""), 2),
        (("contig", "10-40/A1-20"), 0),
        (("contig", "10-40/A1-"), 2),
        (("contig", "10/A1-20", "missing.pdb"), 2),
        (("contig", "10/A1-99", "helix.pdb"), 2),
        (("evaluate", "helix.pdb"), 0),
        (("evaluate", "missing.pdb"), 2),
        (("evaluate", "garbage.pdb"), 2),
        (("evaluate", "empty"), 2),
        (("evaluate", "helix.pdb", "--quiet", "--fail-on", "clashes<1"), 3),
        (("evaluate", "helix.pdb", "--fail-on", "clashes"), 2),
        (("report", "missing"), 2),
        (("report", "empty"), 2),
        (("report", "garbage.pdb"), 2),
        (("report", "helix.pdb", "--out", "file/inside.html"), 2),
        (("campaign", "missing.toml"), 2),
        (("campaign", "run.toml"), 2),
        (("campaign", "garbage.pdb", "--status"), 2),
        (("likelihood", "missing.pdb"), 2),
        (("likelihood", "helix.pdb", "--probes", "1"), 2),
        (("fetch", "../../etc/passwd"), 2),
        (("fetch", "1aki", "--out", "file/inside"), 2),
        (("fetch", "1aki", "--format", "doc"), 2),
        (("prepare", "missing"), 2),
        (("prepare", "empty"), 2),
        (("prepare", "garbage.pdb", "--out", "new/p.safetensors"), 2),
        (("prepare", "helix.pdb", "--out", "file/p.safetensors"), 2),
        (("train",), 2),
        (("train", "--config", "missing.toml"), 2),
        (("train", "--config", "run.toml"), 2),
        (("info", "--quiet"), 0),
        (("info", "extra"), 2),
    ],
)
def test_codes(run, place, tiny_weights, arguments, code):
    if arguments[0] in ("generate", "scaffold", "likelihood") and "--weights" not in arguments:
        arguments = (*arguments, "--weights", tiny_weights)
    before = sorted(place.rglob("*"))
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    assert "internal error" not in result.output
    # contig explains what is wrong with each segment.
    assert code == 0 or result.stdout == "" or arguments[0] == "contig"
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [
        ("protdiff.design.run", "run_designs", GENERATE),
        ("protdiff.design.run", "run_designs", SCAFFOLD),
        ("protdiff.structure", "parse_contig", ("contig", "10")),
        ("protdiff.design.listing", "list_structures", ("evaluate", "helix.pdb")),
        ("protdiff.design.listing", "list_structures", ("likelihood", "helix.pdb")),
        ("protdiff.structure", "fetch_structures", ("fetch", "1aki")),
        ("protdiff.training.prepare", "prepare_dataset", ("prepare", "helix.pdb")),
        ("protdiff.training.config", "load_config", ("train", "--config", "run.toml")),
        ("protdiff.campaign.config", "load_campaign", ("campaign", "run.toml")),
        ("protdiff.report", "write_report", ("report", "helix.pdb")),
        ("protdiff.weights", "list_weights", ("info",)),
    ],
)
def test_an_interrupt_is_130(run, place, tiny_weights, monkeypatch, module, name, arguments):
    import importlib

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    # Lazy packages give the name only when it is asked for.
    monkeypatch.setattr(importlib.import_module(module), name, interrupt, raising=False)
    if arguments[0] in ("generate", "scaffold"):
        arguments = (*arguments, "--weights", tiny_weights)
    result = run(*arguments)
    assert result.exit_code == 130, result.output
    assert "interrupted" in result.stderr


def test_the_codes_are_in_the_help(run):
    page = " ".join(run("--help").stdout.split())
    assert "0 done, 1 failed, 2 the input or the command line cannot be used, 3 a" in page


@pytest.mark.parametrize(
    "command",
    [
        *("generate", "scaffold", "contig", "evaluate", "likelihood", "report", "fetch"),
        *("prepare", "info"),
    ],
)
def test_the_general_options_are_everywhere(run, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    result = run(command, "--help")
    for option in ("--config", "--json", "--quiet", "--verbose", "--debug"):
        assert option in result.stdout, option
    assert "Example: protdiff" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def start(*arguments, **environment):
    """Run the command in a process of its own; return stdout and the heavy modules it imported."""
    code = (
        "import sys\nfrom protdiff.cli import main\nsys.argv[0] = 'protdiff'\n"
        "try:\n    main()\nfinally:\n"
        f"    print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr.splitlines()[-1]


def complete(line):
    return {
        "_PROTDIFF_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        (["--help"], {}, "scaffold"),
        (["generate", "--help"], {}, "--length"),
        (["--version"], {}, "protdiff "),
        ([], complete("protdiff gen"), "generate"),
        ([], complete("protdiff generate --sampler dp"), "dpm++2m"),
        ([], complete("protdiff generate --grid k"), "karras"),
        ([], complete("protdiff generate --weights protdiff-b"), "protdiff-base"),
        ([], complete("protdiff scaffold --method amo"), "amortized"),
        ([], complete("protdiff generate --form"), "--format"),
    ],
)
def test_help_version_and_completion_import_nothing_heavy(arguments, environment, expected):
    stdout, heavy = start(*arguments, **environment)
    assert heavy == "[]"
    assert expected in stdout


def test_colours_are_for_terminals_only(monkeypatch, capsys):
    from protdiff.cli.display import print_table

    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    rows = [["[red]a", "good"], ["b[/x]", "clashes"]]
    print_table(["design", "verdict"], rows)
    plain = capsys.readouterr().out
    assert "\x1b" not in plain
    assert "[red]a" in plain
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_table(["design", "verdict"], rows)
    assert "\x1b[32m" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    print_table(["design", "verdict"], rows)
    assert "\x1b[32m" not in capsys.readouterr().out


def test_info_says_what_weights_were_trained_on(run, monkeypatch, tiny_weights):
    from protdiff import weights

    monkeypatch.setattr(weights, "list_weights", lambda: {"tiny": tiny_weights})
    facts = json.loads(run("info", "--json").stdout)
    assert facts["weights"]["tiny"]["trained_on"] == {}
    assert len(facts["weights"]["tiny"]["sha256"]) == 64
    assert facts["threads"] >= 1
    assert "caches" in facts
    assert "sha256" in run("info").stdout

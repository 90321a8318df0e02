"""The documents keep their word: Python in them runs, commands and options in them exist."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from protdiff.cli.main import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def find_blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """List the code blocks of a page with the lines that they start in."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, match.start(2)) + 1, match[2])
        for match in FENCE.finditer(text)
        if match[1] == language
    ]


def compile_blocks(page: Path) -> Iterator[object]:
    for line, code in find_blocks(page, "python"):
        # Blank lines before it, so that an error names the line of the page.
        yield compile("\n" * (line - 1) + code, str(page), "exec")


def find_commands(page: Path) -> list[list[str]]:
    """List the protdiff commands of a page's shell blocks, as lists of words."""
    found = []
    for _, code in find_blocks(page, "bash"):
        for line in code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["protdiff"]:
                found.append(words[1:])
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_compiles(page):
    list(compile_blocks(page))


@pytest.mark.slow
def test_the_tutorial_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "tutorial"}
    for code in compile_blocks(ROOT / "docs" / "tutorial.md"):
        exec(code, namespace)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("best", "mpnn", "named", "named.fasta", "first.pdb", "scaffolds-mpnn", "run")
    }
    assert "DesignSet: 4 designs" in capsys.readouterr().out
    # Each step had something to work on.
    assert len(namespace["good"]) == len(namespace["again"]) > 0
    assert len(namespace["named"]) == len(namespace["good"])
    assert set(namespace["named"][0].sequence) == set("MKLVEAG")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_exist(page):
    root: Any = typer.main.get_command(app)  # a group, of click or of the click within typer
    for words in find_commands(page):
        if words[0].startswith("-"):
            continue
        assert words[0] in root.commands, words
        options = {
            option
            for parameter in root.commands[words[0]].params
            for option in (*parameter.opts, *parameter.secondary_opts)
        }
        given = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert given <= {*options, "--help"}, words


def test_commands_are_seen():
    assert ["evaluate", "designs"] in find_commands(ROOT / "README.md")


@pytest.mark.slow
def test_documents_build(tmp_path):
    pytest.importorskip("sphinx")
    pytest.importorskip("myst_parser")
    pytest.importorskip("furo")
    command = ["-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(ROOT / "docs")]
    ran = subprocess.run(
        [sys.executable, *command, str(tmp_path / "html")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "html" / "tutorial.html").is_file()
    assert "DesignSet" in (tmp_path / "html" / "api" / "design.html").read_text(encoding="utf-8")

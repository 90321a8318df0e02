"""The floors of the house: imports run down, and each foreign world has one importer."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import protdiff

PACKAGE = Path(protdiff.__file__).parent
FLOORS = {
    "errors": -1,  # everything may raise
    "chains": 0,
    "device": 0,
    "files": 0,
    "handedness": 0,
    "lazy": 0,
    "lock": 0,
    "memory": 0,
    "motif_methods": 0,
    "names": 0,
    "plain": 0,
    "toml": 0,
    "version": 0,
    "fields": 1,
    "fingerprint": 1,
    "structure": 1,
    "diffusion": 1,
    "network": 1,
    "model": 2,
    "checkpoint": 3,
    "conditioning": 3,
    "evaluation": 4,
    "weights": 4,
    "design": 5,
    "training": 6,
    "campaign": 6,
    "report": 6,
    "cli": 7,
    "__init__": 7,
    "__main__": 8,
}
# What may be imported where; anything may be imported nowhere else.
SINGLE_IMPORTERS = {
    "biotite": "structure",
    "e3nn": "network",
    "torchdiffeq": "diffusion",
    "pydssp": "evaluation",
    "py3Dmol": "structure",
    "tqdm": "design",
    "jinja2": "report",
    "markupsafe": "report",
    "matplotlib": "report",
    "typer": "cli",
    "rich": "cli",
    "ray": "campaign",
    "lightning_fabric": "training",
}
# Parsers and tools that judge what we write must not be what we write with.
NOT_IN_THE_PACKAGE = {"gemmi", "tmtools", "pytest", "scipy", "pandas"}
FILES = sorted(PACKAGE.rglob("*.py"))


def get_part(path: Path) -> str:
    """Return the part of the house that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def iterate_imports(path: Path) -> Iterator[tuple[str, int]]:
    """Give each imported module and its line, wherever in the file it is imported."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} is a relative import"
            assert node.module is not None
            yield node.module, node.lineno
            # `from protdiff import model` names a part, not an attribute.
            if node.module == "protdiff":
                for alias in node.names:
                    yield f"protdiff.{alias.name}", node.lineno


def find_upward(path: Path) -> list[str]:
    part = get_part(path)
    found = []
    for module, line in iterate_imports(path):
        names = module.split(".")
        if names[0] != "protdiff" or len(names) == 1 or names[1] == part:
            continue
        if FLOORS[names[1]] >= FLOORS[part]:
            found.append(f"{path.relative_to(PACKAGE)}:{line} imports {module}")
    return found


def test_every_part_has_a_floor():
    assert {get_part(path) for path in FILES} <= set(FLOORS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_down(path):
    assert find_upward(path) == []


@pytest.mark.parametrize(("package", "part"), SINGLE_IMPORTERS.items())
def test_each_foreign_world_has_one_importer(package, part):
    importers = {
        get_part(path)
        for path in FILES
        for module, _ in iterate_imports(path)
        if module.split(".")[0] == package
    }
    assert importers <= {part}


def test_the_model_knows_no_files():
    """The theory meets the network in one part, and what is stored of them is another's."""
    files = (PACKAGE / "model").glob("*.py")
    imported = {module.split(".")[-1] for path in files for module, _ in iterate_imports(path)}
    assert not imported & {"files", "json", "pathlib", "safetensors"}


def test_biotite_is_imported_by_one_function_of_the_structure_wing():
    callers = {
        get_part(path) for path in FILES if "import_biotite" in path.read_text(encoding="utf-8")
    }
    assert callers == {"structure"}


def test_foreign_judges_stay_out_of_the_package():
    for path in FILES:
        for module, line in iterate_imports(path):
            if module.split(".")[0] in NOT_IN_THE_PACKAGE:
                # An optional extra may be imported in a function, at the moment it is needed.
                assert get_part(path) == "evaluation", f"{path}:{line} imports {module}"
                assert "tmtools" in module


def test_tm_align_is_imported_by_one_file_when_it_is_needed():
    importers = {path.name for path in FILES if "tmtools" in dict(iterate_imports(path))}
    assert importers == {"tm_align.py"}


def test_the_check_sees_what_it_should(tmp_path, monkeypatch):
    # Import statements that break the rules, each in a form of its own.
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path)
    (tmp_path / "diffusion").mkdir()
    bad = tmp_path / "diffusion" / "bad.py"
    for statement in (
        "import protdiff.model",
        "from protdiff.structure import Backbone",
        "from protdiff import training",
        "def f():\n    from protdiff.design.engine import Design",
    ):
        bad.write_text(statement)
        assert len(find_upward(bad)) == 1, statement
    bad.write_text("from protdiff.diffusion.sde import SDE\nfrom protdiff.errors import InputError")
    assert find_upward(bad) == []


THEORY = sorted(
    (path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", "."), name)
    for path in (PACKAGE / "diffusion").rglob("*.py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(node, ast.ClassDef) and not (name := node.name).startswith("_")
)
EQUATION = re.compile(r"\.\. math::|:math:|[=~≈≤≥>]|N\(|D\(|E\[")
SHAPE = re.compile(r"``\([a-z_, +*0-9.]*\)``")


def describe_class(kind: type) -> dict[str, bool]:
    """Say whether a class of the theory states its equation, its shapes and its source."""
    own = inspect.getdoc(kind) or ""
    # What an interface says once holds for those who keep it.
    methods = [
        inspect.getdoc(member) or ""
        for base in kind.__mro__
        for name, member in inspect.getmembers(base)
        if name == "__call__" or not name.startswith("_")
    ]
    module = inspect.getmodule(kind)
    assert module is not None
    return {
        "equation": bool(EQUATION.search(own)),
        "shapes": any(SHAPE.search(text) for text in (own, *methods)),
        "source": "References\n---" in own or "References\n---" in (module.__doc__ or ""),
    }


@pytest.mark.parametrize(("module", "name"), THEORY, ids=lambda value: value.split(".")[-1])
def test_every_class_of_the_theory_states_equation_shapes_and_source(module, name):
    found = describe_class(getattr(importlib.import_module(f"protdiff.{module}"), name))
    assert all(found.values()), found


def test_a_class_that_states_nothing_is_seen():
    class Silent:
        """It says nothing."""

    found = describe_class(Silent)
    assert found == {"equation": False, "shapes": False, "source": False}


def run_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_importing_protdiff_imports_nothing_heavy():
    heavy = ("torch", "numpy", "e3nn", "biotite", "typer", "rich", "safetensors", "tqdm")
    code = f"import sys, protdiff; print([m for m in {heavy} if m in sys.modules])"
    assert run_python(code).strip() == "[]"


def test_help_needs_no_torch():
    code = (
        "import sys; from protdiff.cli.main import app\n"
        "print([m for m in ('torch', 'numpy', 'e3nn', 'biotite') if m in sys.modules])"
    )
    assert run_python(code).strip() == "[]"


def test_all_but_files_works_without_biotite():
    code = (
        "import sys\n"
        "sys.modules['biotite'] = None\n"
        "import numpy, protdiff.model, protdiff.training.trainer, protdiff.design.designer\n"
        "import protdiff.diffusion, protdiff.network, protdiff.conditioning, protdiff.structure\n"
        "from protdiff import measure_quality\n"
        "measure_quality(numpy.random.default_rng(0).normal(size=(20, 3, 3)))\n"
        "assert not any(name.startswith('biotite.') for name in sys.modules)\n"
        "try:\n"
        "    protdiff.structure.write_backbone('x.pdb', protdiff.structure.Backbone"
        ".from_coordinates(numpy.zeros((3, 3, 3))))\n"
        "except protdiff.DependencyError as error:\n"
        "    print(error)\n"
    )
    assert "pip install biotite" in run_python(code)


@pytest.mark.parametrize("name", protdiff.__all__)
def test_every_public_name_is_there(name):
    assert getattr(protdiff, name) is not None
    assert name in dir(protdiff) or name == "__version__"


def test_subpackages_are_imported_by_their_use():
    code = (
        "import sys, protdiff\n"
        "assert 'conditioning' in dir(protdiff)\n"
        "assert not any(name.startswith('protdiff.conditioning') for name in sys.modules)\n"
        "print(protdiff.conditioning.Contacts.__name__)\n"
    )
    assert run_python(code).split() == ["Contacts"]


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        protdiff.lode  # noqa: B018


def test_the_network_needs_no_compiler():
    code = (
        "import sys, torch, protdiff.network, protdiff.design.designer\n"
        "print('torch._dynamo' in sys.modules, torch.compiler.disable.__module__)"
    )
    assert run_python(code).split() == ["False", "torch.compiler"]

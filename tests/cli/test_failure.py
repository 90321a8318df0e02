import pytest
import typer
from typer.testing import CliRunner

from protdiff.cli.failure import explain_failures
from protdiff.errors import InputError, ProtdiffError


def fail(error, debug=False):
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    @explain_failures
    def command(debug: bool = False) -> None:
        raise error

    return CliRunner().invoke(app, ["--debug"] if debug else [])


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("this came;\n that was expected"), 2, "error: this came; that was expected"),
        (ProtdiffError("no network"), 1, "error: no network"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (PermissionError(13, "Permission denied", "x.pdb"), 1, "Permission denied: 'x.pdb'"),
        (RuntimeError("CUDA out of memory. Tried"), 1, "smaller --batch-size"),
        (ZeroDivisionError("oops"), 1, "internal error: ZeroDivisionError: oops"),
    ],
)
def test_errors_are_one_line_and_a_code(error, code, message):
    result = fail(error)
    assert result.exit_code == code
    assert result.stdout == ""
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("protdiff: ")
    assert message in line


def test_debug_prints_the_traceback():
    result = fail(InputError("bad"), debug=True)
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1] == "protdiff: error: bad"


def test_the_environment_asks_for_tracebacks_too(monkeypatch):
    monkeypatch.setenv("PROTDIFF_DEBUG", "1")
    assert "Traceback" in fail(InputError("bad")).stderr


def test_warnings_are_one_line():
    import warnings

    app = typer.Typer()

    @app.command()
    @explain_failures
    def command(debug: bool = False) -> None:
        warnings.simplefilter("always")
        warnings.warn("A5 has\nno CA", stacklevel=1)

    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0
    assert result.stderr == "protdiff: warning: A5 has no CA\n"

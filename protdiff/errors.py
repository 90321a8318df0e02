"""The errors that protdiff raises on purpose.

Every message is one line that says what came, what was expected and what to do. The command line
prints it as it stands and exits with :attr:`ProtdiffError.exit_code`; nothing else is caught.
"""


class ProtdiffError(Exception):
    """Base of every error that protdiff raises on purpose."""

    exit_code = 1


class InputError(ProtdiffError, ValueError):
    """The user's input cannot be used: a file, an option, a contig, a configuration."""

    exit_code = 2


class FolderInUseError(InputError):
    """Another process is writing to the folder."""


class CheckpointError(InputError):
    """A checkpoint is missing, damaged, or of a version this protdiff cannot read."""


def shorten(text: str, most: int = 60) -> str:
    """Return a text as a message shows it: whole, or its first ``most`` characters."""
    return text if len(text) <= most else f"{text[:most]}..."


class DependencyError(ProtdiffError, ImportError):
    """An optional package is needed for what was asked, and is not installed."""

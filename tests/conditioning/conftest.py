import pytest

from protdiff.design import Designer


@pytest.fixture(scope="session")
def designer(tiny_model) -> Designer:
    """Return a designer with the tiny untrained model."""
    return Designer(tiny_model)

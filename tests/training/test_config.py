import pytest

from protdiff.errors import InputError
from protdiff.training import TrainingConfig, load_config


def test_file_is_read_and_options_replace_its_values(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('data = "a"\nout = "b"\nlengths = [40, 80]\nema = 1\n[network]\nlayers = 4\n')
    config = load_config(path, out="c", steps=None)
    assert (config.data, config.out, config.lengths) == ("a", "c", (40, 80))
    assert config.network.layers == 4
    assert config.steps == TrainingConfig(data="", out="").steps
    assert TrainingConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('data = "a"\nout = "b"\nlerning_rate = 1', "did you mean 'learning_rate'"),
        ('data = "a"\nout = "b"\n[network]\nlayer = 4', r"\[network\]: unknown key 'layer'"),
        ('data = "a"', "out must be given"),
        ('data = "a"\nout = "b"\nsteps = "many"', "steps = 'many'; expected int"),
        ('data = "a"\nout = "b"\nsteps = true', "steps = True; expected int"),
        ('data = "a"\nout = "b"\n[network]\nlayers = 3', "expected an even number"),
        ("data = ", "is no TOML file"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_config(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        load_config(tmp_path / "none.toml")

"""The option names that a class reads are found in its compiled functions."""

import pytest

from recbole_diffusion.compat import recbole_metrics, recbole_transform
from recbole_diffusion.options.keys_read import keys_read_by, keys_read_in

SOURCE = """
class Base:
    def __init__(self, config):
        self.config, self.a = config, config["in_init"]

class Model(Base):
    name, other = "no_option", {"not_config": 1}

    @property
    def width(self):
        return self.config["in_property"]

    @staticmethod
    def made(config, table):
        return [config["in_static"], table["not_config"]]

    @classmethod
    def other_made(cls, config):
        return lambda: config["in_lambda"]

    def assigned(self, key):
        self.config["in_assignment"] = self.config[key]
"""


@pytest.fixture
def model():
    """A class that no file holds."""
    names = {"__name__": "in_a_notebook"}
    exec(compile(SOURCE, "a file that is gone.py", "exec"), names)
    return names["Model"]


def test_a_class_without_a_source_file_is_read(model):
    read = {"in_init", "in_property", "in_static", "in_lambda", "in_assignment"}
    assert keys_read_by(model) == read


def test_what_recboles_metrics_and_transforms_read_is_found():
    assert "tail_ratio" in keys_read_in(recbole_metrics)
    assert {"eta", "beta", "mask_ratio"} <= keys_read_in(recbole_transform)

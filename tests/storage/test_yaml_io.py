"""Values are parsed, never evaluated; numbers are read as users write them."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_diffusion.compat import RECBOLE_FOLDER
from recbole_diffusion.errors import UsageError
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.storage.properties import properties_path
from recbole_diffusion.storage.yaml_io import dump_value, dump_yaml, load_yaml, merged, parse_value

READ = {
    "1e-4": 1e-4,
    "1e5": 1e5,
    "1E+3": 1e3,
    "-2.5e-3": -2.5e-3,
    ".5": 0.5,
    "5.": 5.0,
    "3": 3,
    "-7": -7,
    "0": 0,
    "true": True,
    "False": False,
    "~": None,
    "": None,
    "[1, 2.0, a]": [1, 2.0, "a"],
    "{RS: [0.8, 0.1, 0.1]}": {"RS": [0.8, 0.1, 0.1]},
    "Recall@20": "Recall@20",
    "[5,inf)": "[5,inf)",
    "1.2.3": "1.2.3",
    "2026-11-28": "2026-11-28",
    "0x1F": 31,
    "0.5": 0.5,
    "1e": "1e",
    "e5": "e5",
    "a: b: c": "a: b: c",
    "__import__('os').getpid()": "__import__('os').getpid()",
    "!!python/object/apply:os.getpid []": "!!python/object/apply:os.getpid []",
}


@pytest.mark.parametrize("text", READ)
def test_value_and_type(text):
    value = parse_value(text)
    assert value == READ[text]
    assert type(value) is type(READ[text])


@pytest.mark.parametrize(("text", "value"), [(".inf", math.inf), ("-.inf", -math.inf)])
def test_infinities(text, value):
    assert parse_value(text) == value


def test_not_a_number():
    assert math.isnan(parse_value(".nan"))


texts = st.text(st.characters(categories=["L", "N", "P", "S"]) | st.just(" "), max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    "text", ["1e5", "0E0", "007", "true", "~", "", " x ", "a: b", "[1", "'q'", "#", "1_000", "12:30"]
)
def test_a_text_that_looks_like_something_else_stays_text(text):
    assert parse_value(dump_value(text)) == text


@settings(max_examples=100, deadline=None)
@given(plain)
def test_a_dumped_value_is_read_back(value):
    assert parse_value(dump_value(value)) == value


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(texts, plain, max_size=4))
def test_a_dumped_file_is_read_back(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("yaml") / "a.yaml"
    path.write_text(dump_yaml(values), encoding="utf-8")
    assert load_yaml(path) == values


def test_nested_mappings_merge_and_lists_do_not():
    low = {"a": {"x": 1, "y": {"z": 2}}, "b": [1, 2], "c": 3}
    high = {"a": {"y": {"w": 4}}, "b": [5]}
    assert merged(low, high) == {"a": {"x": 1, "y": {"z": 2, "w": 4}}, "b": [5], "c": 3}
    assert low == {"a": {"x": 1, "y": {"z": 2}}, "b": [1, 2], "c": 3}


def test_some_keys_are_replaced_as_a_whole():
    low = {"eval_args": {"split": {"RS": [8, 1, 1]}, "mode": "full"}}
    high = {"eval_args": {"split": {"LS": "valid_and_test"}}}
    assert merged(low, high, frozenset({"split"})) == {
        "eval_args": {"split": {"LS": "valid_and_test"}, "mode": "full"}
    }


NOT_MEANT = {
    "twice": ("a: 1\nb: 2\na: 3\n", "'a' is given twice, in line 1 and line 3"),
    "twice the same": ("a: 1\na: 1\n", "'a' is given twice, in line 1 and line 2"),
    "twice in one line": ("a: {b: 1, b: 2}\n", "'b' is given twice, in line 1 and line 1"),
    "twice, nested": (
        "a:\n  - b: 1\n    c:\n      d: 2\n      'd': 3\n",
        "'d' is given twice, .*4 and line 5",
    ),
    "octal": ("a: 1\nb: [3, 010]\n", "'010' in line 2 would be read as an octal number; .*in quotes: '010'"),
    "octal that is none": ("a: -08\n", "'-08' in line 1"),
    "clock": ("a: 1\nb: {c: 1:30}\n", "'1:30' in line 2 would be read as a base-60 number"),
    "clock with a fraction": ("a: 1:30.5\n", "'1:30.5' in line 1"),
    "underscore": ("a: [3, 1_0]\n", "'1_0' in line 1 would be read as a number without its underscores"),
    "underscore in a fraction": ("a: 1_0.5\n", "'1_0.5' in line 1 would be"),
    "underscore at the end": ("a: 1\nb: -1_\n", "'-1_' in line 2 would be"),
    "deep": ("a: " + "[" * 1500 + "]" * 1500, "nested too deeply"),
    "in itself": ("a: &a [*a]\n", r"aliases \(\*\) make more than"),
}


@pytest.mark.parametrize("case", NOT_MEANT)
def test_what_is_surely_not_meant_is_refused_with_file_and_line(tmp_path, case):
    text, message = NOT_MEANT[case]
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=f"mine.yaml': .*{message}"):
        load_yaml(path)


def test_underscores_between_thousands_are_meant():
    assert parse_value("[1_000, -20_000_000, 1_000.5, a_1]") == [1000, -20_000_000, 1000.5, "a_1"]


@pytest.mark.parametrize("text", ["{a: 1, a: 2}", "010", "[1, 1:30]", "1_0"])
def test_a_value_on_the_command_line_is_refused_too(text):
    with pytest.raises(UsageError, match="is ambiguous: "):
        parse_value(text)


def test_a_merge_may_be_overridden(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: &b {<<: *a, y: 3}\nc: {<<: *b, y: 4}\n")
    assert load_yaml(path) == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {"x": 1, "y": 4}}


def test_every_file_of_recbole_and_of_this_package_is_read():
    for folder in (RECBOLE_FOLDER / "properties", properties_path()):
        files = list(folder.rglob("*.yaml"))
        assert len(files) > 10
        for file in files:
            load_yaml(file)


BAD = {
    "number": (b"a: !!int x\n", "not valid YAML"),
    "long number": (b"a: " + b"9" * 5000, "not valid YAML"),
    "tab": (b"epochs: 1\n\tsteps: 2\n", "not valid YAML.*line 2"),
    "list": (b"- a\n- b\n", "not a list"),
    "text": (b"hello\n", "not a str"),
    "bytes": (b"a: \xff\xfe\n", "not valid YAML"),
    "object": (b"a: !!python/object/apply:os.system [ls]\n", "not valid YAML"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_named(tmp_path, case):
    path = tmp_path / "mine.yaml"
    path.write_bytes(BAD[case][0])
    with pytest.raises(UsageError, match=f"mine.yaml.*{BAD[case][1]}"):
        load_yaml(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read.*none.yaml.*No such file"):
        load_yaml(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match=r"cannot read.*directory"):
        load_yaml(tmp_path)


def test_an_empty_file_holds_nothing(tmp_path):
    (tmp_path / "empty.yaml").write_text("# only a comment\n")
    assert load_yaml(tmp_path / "empty.yaml") == {}


def test_a_packaged_file_is_parsed_once_and_again_when_it_has_changed(tmp_path, monkeypatch):
    """What a caller adds to its content stays with the caller."""
    file, read = tmp_path / "a.yaml", []
    monkeypatch.setattr(yaml_io, "_read", lambda text, _: read.append(text) or {"k": [text.strip()]})
    file.write_text("1\n")
    first = yaml_io.load_yaml(file, packaged=True)
    first["k"].append("mine")
    assert yaml_io.load_yaml(file, packaged=True) == {"k": ["1"]}
    assert read == ["1\n"]
    file.write_text("22\n")
    assert yaml_io.load_yaml(file, packaged=True) == {"k": ["22"]}

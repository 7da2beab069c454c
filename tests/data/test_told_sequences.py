"""Sequences of tokens that are written in another way than seq_separator says are told."""

import logging

import pytest

from recbole_diffusion.data.told_sequences import tell_sequences

GENRES = [["Action", "War"], ["Drama"], ["Comedy", "Drama", "War"], ["Noir", "War"]] * 3


def told(caplog, texts, separator=" "):
    with caplog.at_level(logging.WARNING):
        found = tell_sequences("d.item", "class", [text.split(separator) for text in texts], separator)
    assert found == bool(caplog.text)
    return caplog.text


@pytest.mark.parametrize(
    ("join", "message"),
    [
        ("|".join, "its texts have '|' between values, so that one value of its first row is 'Action|War'"),
        (", ".join, "its values end with ',', so that one value of its first row is 'Action,'"),
        (str, "its texts are lists in brackets"),
    ],
)
def test_another_form_of_lists_is_told(caplog, join, message):
    text = told(caplog, [join(one) for one in GENRES])
    assert "d.item: the column 'class' of sequences is divided at ' ' (seq_separator), but " in text
    assert message in text


def test_padding_is_told_as_a_value_like_others(caplog):
    text = told(caplog, [" ".join(["0"] * (4 - len(one)) + one) for one in GENRES])
    assert "9 sequences of the column 'class' begin or end with '0' several times" in text


@pytest.mark.parametrize(
    ("texts", "separator"),
    [
        ([" ".join(one) for one in GENRES], " "),
        ([", ".join(one) for one in GENRES], ", "),
        (["Graduate, The", "Toy Story", "Good, the Bad, and the Ugly, The", "Birds, The"], " "),
        (["0 0 3 1", "2 5 7", "1 2 2", "4 4"], " "),  # a value that repeats here and there
        (["a [b]", "c", "(d)", "e f"], " "),
        ([], " "),
    ],
)
def test_sequences_and_titles_as_they_should_be_are_not(caplog, texts, separator):
    assert not told(caplog, texts, separator)


def test_empty_texts_of_tables_are_no_values(caplog):
    assert not tell_sequences("a.parquet", "genre", [["", ""], ["a", ""], []], " ")
    assert not caplog.messages

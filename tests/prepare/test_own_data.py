"""A table of somebody's own as a data set: what is read, what is told, and what is refused with its row."""

import bz2
import datetime
import gzip
import random

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset
from recbole_diffusion.errors import UsageError
from recbole_diffusion.prepare.own.data import own_data
from recbole_diffusion.prepare.own.number_times import unit_of
from recbole_diffusion.prepare.own.roles import name_of

SALES = {"user": "customer", "item": "sku"}
DATED = {**SALES, "time": "date"}
HEAD = "customer,sku,date\n"


@pytest.fixture
def file(tmp_path):
    """Return a function that writes a file and returns its path."""

    def write(content: str | bytes, name: str = "sales.csv", encoding: str = "utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


def rows(found) -> list[tuple]:
    return list(zip(*found.table.to_pydict().values(), strict=True))


def frame(**columns) -> pd.DataFrame:
    return pd.DataFrame({"customer": ["a", "b"], "sku": ["x", "y"], **columns})


# Kinds of tables.


def test_a_csv_file_keeps_ids_as_they_are_and_makes_seconds_of_dates(file):
    path = file(
        HEAD + "007,a b,1970-01-02\n8,1.0,1970-01-01T01:00:00+01:00\n007,NA,1970-01-01 00:00:07 UTC\n"
    )
    found = own_data(path, **DATED)
    assert found.table.column_names == ["user_id:token", "item_id:token", "timestamp:float"]
    assert rows(found) == [("007", "a b", 86_400), ("8", "1.0", 0), ("007", "NA", 7)]
    assert (found.record["rows"], found.record["users"], found.record["items"]) == (3, 2, 3)
    assert any("some without a zone, taken as UTC" in fact for fact in found.facts)
    assert found.notes == [
        "1 row with 'NA' in sku, an id like others: remove them if it stands for a missing one"
    ]


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("customer;sku;date\n007;x, y;3\n8;z;4\n", {}),
        ("customer\tsku\tdate\n007\tx, y\t3\n8\tz\t4\n", {}),
        ("customer|sku|date\r\n007|x, y|3\r\n8|z|4\r\n", {}),
        ('customer,sku,date\n007,"x, y",3\n8,z,4', {}),
        ("\ufeffcustomer;sku;date\n007;x, y;3\n8;z;4\n", {}),
        ("customer::sku::date\n007::x, y::3\n8::z::4\n", {}),
        ("customer~sku~date\n007~x, y~3\n8~z~4\n", {"separator": "~"}),
        ("007;x, y;3\n8;z;4\n", {"columns": "customer,sku,date"}),
        ("customer:token;sku:token;date:float\n007;x, y;3\n8;z;4\n", {}),
        ("\n\ncustomer;sku;date\n\n007;x, y;3\n8;z;4\n\n", {}),
        ('{"customer": "007", "sku": "x, y", "date": 3}\n{"customer": "8", "sku": "z", "date": 4}\n', {}),
        ('\ufeff{"sku": "x, y", "date": 3, "customer": "007"}\n{"date": 4, "customer": "8", "sku": "z"}', {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("packed", [None, gzip.compress, bz2.compress], ids=["plain", "gzip", "bzip2"])
def test_files_of_text_are_read_by_their_own_separator_compressed_or_not(file, content, options, packed):
    data = content.encode()
    path = file(packed(data) if packed else data, "sales.txt")
    assert rows(own_data(path, **DATED, **options)) == [("007", "x, y", 3), ("8", "z", 4)]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig"])
def test_another_encoding_is_read_where_it_is_named(file, encoding):
    path = file("customer,sku\né,ü\nà,ö\n", encoding=encoding)
    assert rows(own_data(path, **SALES, encoding=encoding)) == [("é", "ü"), ("à", "ö")]


def test_tables_in_memory_and_parquet_give_the_same(tmp_path):
    table = pd.DataFrame(
        {
            "customer": [10, 20, 10],
            "sku": pd.Categorical(["x", "y", "y"]),
            "date": pd.to_datetime(["1970-01-02", "1970-01-01", "1970-01-03"]),
            "stars": [4.5, 1, 3],
        }
    )
    expected = [("10", "x", 4.5, 86_400), ("20", "y", 1, 0), ("10", "y", 3, 172_800)]
    arrow = pa.Table.from_pandas(table)
    pq.write_table(arrow, tmp_path / "t.parquet")
    for data in (table, arrow, tmp_path / "t.parquet", str(tmp_path / "t.parquet")):
        assert rows(own_data(data, **DATED, rating="stars")) == expected


def test_a_parquet_file_in_a_folder_of_a_partition_has_its_own_columns_alone(tmp_path):
    folder = tmp_path / "customer=9"
    folder.mkdir()
    pq.write_table(pa.table({"customer": ["a"], "sku": ["x"]}), folder / "part.parquet")
    assert rows(own_data(folder / "part.parquet", **SALES)) == [("a", "x")]


def test_whole_numbers_that_pandas_holds_as_floats_are_whole_again():
    found = own_data(frame(customer=[7.0, np.nan]), **SALES)
    assert rows(found) == [("7", "x")]
    assert found.notes == [
        "1 row without user or item left out (row 2)",
        "the ids of customer are floats in the table, and are written without .0",
    ]


# Columns.


def test_other_columns_are_kept_with_a_type_by_their_values(file):
    path = file(
        "customer,sku,price,store,zip,day\na,x,1.5,north,01,2024-01-01\nb,y,,,02,2024-01-02\n", "s.csv"
    )
    found = own_data(path, **SALES, keep=["price", "store", "zip"])
    assert found.table.column_names[2:] == ["price:float", "store:token", "zip:token"]
    assert rows(found) == [("a", "x", 1.5, "north", "01"), ("b", "y", None, None, "02")]
    assert "1 row without price, an empty field there" in found.notes
    assert "left out day" in found.facts


def test_rows_without_an_id_are_left_out_and_repeats_are_counted_and_stay(file):
    path = file(HEAD + "a,x,2024-01-01\n,x,2024-01-01\na,x,2024-01-01\na,,2024-01-01\na,x,2024-01-02\n")
    found = own_data(path, **DATED)
    assert len(found.table) == 3
    assert found.record["repeated_rows"] == 2
    assert found.notes[0] == "2 rows without user or item left out (rows 2, 4)"
    assert found.notes[1].startswith("2 repeats of a pair of user and item (1 equal in every column).")


@pytest.mark.parametrize(
    ("values", "expected", "said"),
    [
        (["2024-03-31", "2024-03-31"], 1_711_843_200, "ISO dates without a zone, taken as UTC"),
        (["2024-03-31T02:00:00+02:00"] * 2, 1_711_843_200, "ISO dates,"),
        (["2024/03/31"] * 2, 1_711_843_200, "ISO dates without"),
        ([1_711_843_200] * 2, 1_711_843_200, "seconds since 1970"),
        ([1_711_843_200_500] * 2, 1_711_843_200.5, "milliseconds"),
        ([1_711_843_200_000_000] * 2, 1_711_843_200, "microseconds"),
        ([1_711_843_200 * 10**9] * 2, 1_711_843_200, "nanoseconds"),
        (["1711843200000"] * 2, 1_711_843_200, "milliseconds"),
        ([20240331] * 2, 1_711_843_200, "days as 20240331"),
        (["20240331"] * 2, 1_711_843_200, "days as 20240331"),
        # By their size they were seconds of the year 2034, milliseconds of 1976, and no times.
        ([2024033112] * 2, 1_711_886_400, "dates and times as 2024033112, taken as UTC"),
        (["202403311200"] * 2, 1_711_886_400, "dates and times as 202403311200"),
        ([20240331120005] * 2, 1_711_886_405, "dates and times as 20240331120000"),
        ([11, 12], 11, "numbers that are not times since 1970"),
        ([datetime.date(2024, 3, 31)] * 2, 1_711_843_200, "dates without a zone"),
        (pd.to_datetime(["2024-03-31"] * 2).tz_localize("Europe/Berlin"), 1_711_839_600, "Europe/Berlin"),
    ],
)  # fmt: skip
def test_times_are_seconds_since_1970_and_what_they_were_taken_for_is_told(values, expected, said):
    found = own_data(frame(date=values), **DATED)
    assert rows(found)[0][2] == expected
    assert said in found.facts[-1]


@pytest.mark.parametrize(
    ("dates", "said"),
    [
        ([1_711_843_200, 2**31 - 1], "to 2038-01-19 03:14:07; 1 row after today"),
        (["2024-03-31", "2099-01-01"], "to 2099-01-01; 1 row after today"),
        ([2**31 - 1, 2**31 - 2], "to 2038-01-19 03:14:07"),  # is it the clock?
        ([11, 12], "from 11 to 12"),
    ],
)
def test_times_after_today_are_told(dates, said):
    assert own_data(frame(date=dates), **DATED).facts[-1].endswith(said)


@pytest.mark.parametrize("empty", [["", ""], [None, None], ["NA", None]])
def test_a_column_without_a_value_is_one_of_gaps(empty):
    found = own_data(frame(date=empty, stars=empty, shop=empty), **DATED, rating="stars", keep="shop")
    assert [row[2:] for row in rows(found)] == [(None, None, None)] * 2 or empty == ["NA", None]
    assert "2 rows without timestamp, an empty field there" in found.notes
    assert found.facts[-1].endswith("none is given")


def test_rows_that_a_missing_quote_swallows_are_told(file):
    content = 'customer,sku,title\na,x,"one\nb,y,two\nc,z,"three\nd,x,four\n'
    found = own_data(file(content), **SALES)
    assert [row[0] for row in rows(found)] == ["a", "d"]
    assert any(note.startswith("2 lines inside quoted fields") for note in found.notes)
    assert own_data(file(content.replace('"', "")), **SALES).notes == []
    assert any("1 line inside" in note for note in own_data(file('customer,sku\n"a\nb",x\n'), **SALES).notes)


def test_texts_of_other_arrow_types_are_texts():
    view = pa.table(
        {"customer": pa.array(["07"]).cast(pa.string_view()), "sku": pa.array(["x"], pa.large_string())}
    )
    assert rows(own_data(view.append_column("date", pa.array(["3"]).cast(pa.string_view())), **DATED)) == [
        ("07", "x", 3)
    ]


def test_a_format_or_a_unit_that_is_given_decides():
    day_first = own_data(frame(date=["03/04/2024", "04/04/2024"]), **DATED, time_format="%d/%m/%Y")
    assert rows(day_first)[0][2] == datetime.datetime(2024, 4, 3, tzinfo=datetime.UTC).timestamp()
    assert rows(own_data(frame(date=[5000, 6000]), **DATED, time_unit="ms"))[0][2] == 5


def test_the_unit_of_numbers_is_that_of_most_and_others_are_found():
    assert unit_of(np.array([1.7e9, 1.6e9]))[0] == "s"
    unit, others = unit_of(np.array([1.7e12, 1.6e12, 1.6e9, 0.0]))
    assert (unit, others.tolist()) == ("ms", [2])
    unit, others = unit_of(np.array([1.0, 2.0, 3.0, 1.6e9]))
    assert (unit, others.tolist()) == ("none", [3])


# Known forms.

FORMS = {
    "u.data": ("196\t242\t3\t881250949\n186\t302\t5\t891717742\n", ("196", "242", 3, 881250949)),
    "ratings.dat": ("1::1193::5::978300760\n1::661::3::978302109\n", ("1", "1193", 5, 978300760)),
    "ratings.csv": ("userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n", ("1", "31", 2.5, 1260759144)),
    "2014.csv": (
        "A2EFCYXHNK06IS,0449819906,5.0,978480000\nA1WR23ER5HMAA9,B00005N7P0,4.0,953424000\n",
        ("A2EFCYXHNK06IS", "0449819906", 5, 978480000),
    ),
    "2018.csv": (
        "0449819906,A2EFCYXHNK06IS,5.0,978480000\nB00005N7P0,A1WR23ER5HMAA9,4.0,953424000\n",
        ("A2EFCYXHNK06IS", "0449819906", 5, 978480000),
    ),
    "reviews_2018.json": (
        '{"overall": 5.0, "verified": true, "reviewerID": "A2EFCYXHNK06IS", "asin": "0449819906", '
        '"style": {"Color:": " red"}, "unixReviewTime": 978480000}\n',
        ("A2EFCYXHNK06IS", "0449819906", 5, 978480000),
    ),
    "2023.csv": (
        "user_id,parent_asin,rating,timestamp\nAGKASBHYZ,B006GQIZC0,5.0,1454676557000\n",
        ("AGKASBHYZ", "B006GQIZC0", 5, 1454676557),
    ),
    "reviews_2023.jsonl": (
        '{"rating": 5.0, "title": "Good", "images": [], "asin": "B0", "parent_asin": "B006GQIZC0", '
        '"user_id": "AGKASBHYZ", "timestamp": 1454676557250}\n',
        ("AGKASBHYZ", "B006GQIZC0", 5, 1454676557.25),
    ),
    "yelp.json": (
        '{"review_id": "r", "user_id": "u", "business_id": "b", "stars": 3.0, "text": "If", '
        '"date": "2018-07-07 22:09:11"}\n',
        ("u", "b", 3, 1531001351),
    ),
    "big_matrix.csv": (
        "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio\n"
        "0,3649,13838,10867,2020-07-05 00:08:23.438,20200705,1593878903.438,1.273\n",
        ("0", "3649", 1593878903.438, 1.273),
    ),
    "behaviors.tsv": (
        "1\tU13740\t11/11/2019 9:05:58 AM\tN5 N4\tN55689-1 N35729-0\n"
        "2\tU9\t11/12/2019 6:11:30 PM\t\tN2-0 N7-1\n",
        ("U13740", "N55689", 1573463158),
    ),
    "toy.inter": ("user_id:token\titem_id:token\trating:float\n01\tx\t3\n", ("01", "x", 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_published_forms_are_recognised(file, name):
    content, first = FORMS[name]
    found = own_data(file(content, name))
    assert rows(found)[0] == first
    assert found.facts[0].startswith("form ")


def test_items_that_were_shown_and_not_clicked_are_no_interactions(file):
    found = own_data(file(FORMS["behaviors.tsv"][0]))
    assert [row[:2] for row in rows(found)] == [("U13740", "N55689"), ("U9", "N7")]
    assert "rows     2 clicked of 4 shown items, 2 impressions" in found.facts
    assert any("not clicked" in note for note in found.notes)


def test_amazon_ratings_whose_ids_do_not_tell_users_from_items_are_not_guessed(file):
    content = "0449819906,B00005N7P0,5.0,978480000\nB00005N7P0,0449819906,4.0,953424000\n"
    with pytest.raises(UsageError, match="which column has the users"):
        own_data(file(content))
    named = own_data(file(content), columns="i,u,r,t", user="u", item="i", rating="r", time="t")
    assert rows(named)[0] == ("B00005N7P0", "0449819906", 5, 978480000)


def test_names_that_take_amazons_products_for_users_are_told(file):
    content = "B00005N7P0,A2SUAM1J3GNN3B,5.0,978480000\n0449819906,AB2W04NI4OEAD,4.0,953424000\n"
    for user, item, told in (("a", "b", 1), ("b", "a", 0)):
        found = own_data(file(content), columns="a,b,r,t", user=user, item=item, rating="r", time="t")
        assert sum("exchange --user and --item" in note for note in found.notes) == told


@pytest.mark.parametrize(
    ("stars", "told"), [([1, -1], True), ([0, 5], True), ([1, 2], False), ([0, 0], False)]
)
def test_ratings_that_may_be_dislikes_are_told(stars, told):
    found = own_data(frame(stars=stars), **SALES, rating="stars")
    assert any(note.startswith("1 of 2 ratings is 0 or below") for note in found.notes) == told
    assert len(found.notes) == told


def test_names_that_are_given_win_over_a_form(file):
    path = file(FORMS["ratings.csv"][0])
    assert own_data(path, item="userId", user="movieId").table.column_names == [
        "user_id:token",
        "item_id:token",
    ]
    assert rows(own_data(path, form="movielens", time="rating")) == [("1", "31", 2.5)]


# What is refused, in one line.

WRONG = {
    "missing column": ("customer,sku\na,x\n", DATED, r"no column 'date'.*there are customer, sku"),
    "near name": ("custmer,sku\na,x\n", SALES, r"did you mean 'custmer'"),
    "no header": ("a,x\nb,y\n", SALES, r"name all columns with --columns"),
    "no names": ("customer,sku\na,x\n", {}, r"which column has the users\? Give --user=COLUMN"),
    "half a name": ("customer,sku\na,x\n", {"user": "customer"}, r"which column has the items"),
    "one column twice": ("customer,sku\na,x\n", {"user": "sku", "item": "sku"}, "for two things"),
    "duplicate columns": ("customer,sku,sku\na,x,y\n", SALES, "2 columns 'sku'"),
    "empty": ("", SALES, "is empty"),
    "line ends": ("\n\r\n", SALES, "is empty"),
    "header alone": (HEAD, SALES, "no rows"),
    "no ids": ("customer,sku\n,x\na,\n", SALES, "no row with both a user and an item"),
    "lists": ("0 1 2 3\n1 4 5\n", {}, "a list of items, as in LightGCN's files, write a row for each pair"),
    "blanks": ("0 1 2\n1 4 5\n", {}, "such as --separator=' '"),
    "one column": ("customer\na\n", SALES, "has one column.*--separator"),
    "short row": (HEAD + "a,x,1\nb,y\n", DATED, r"Row #3: Expected 3 columns, got 2"),
    "a separator of another file": (HEAD + "a,x,1\n", {**DATED, "separator": ";"}, "has one column"),
    "day or month": (HEAD + "a,x,2024-01-01\nb,y,03/04/24\n", DATED, r"row 2: found '03/04/24'.*time_format"),
    "no such day": (HEAD + "a,x,2024-02-30\n", DATED, "found '2024-02-30'"),
    "now": (HEAD + "a,x,now\n", DATED, "found 'now'"),
    "dates and numbers": (HEAD + "a,x,2024-01-01\nb,y,1700000000\n", DATED, "row 2: found '1700000000'"),
    "far future": (HEAD + "a,x,9999-12-31\n", DATED, "found '9999-12-31'"),
    "two units": (HEAD + "a,x,1.7e9\nb,y,1.7e9\nc,z,1.7e12\n", DATED, r"row 3: .*one unit \(seconds\)"),
    "no hour": (HEAD + "a,x,202403311259\nb,y,202403311300\nc,z,202403312461\n", DATED, "row 3: .*a date"),
    "no day": (HEAD + "a,x,20240331\nb,y,20240401\nc,z,20240230\n", DATED, "row 3: .*20240230.*a day"),
    "format": (HEAD + "a,x,2024\n", {**DATED, "time_format": "%d"}, "expected the format %d"),
    "directive": (HEAD + "a,x,2024\n", {**DATED, "time_format": "%Q"}, "time_format is '%Q'"),
    "unit": (HEAD + "a,x,1\n", {**DATED, "time_unit": "h"}, "it takes auto | s | ms"),
    "word as rating": ("customer,sku,r\na,x,good\n", {**SALES, "rating": "r"}, "row 1: found 'good'.*number"),
    "decimal comma": ("customer;sku;r\na;x;4,5\n", {**SALES, "rating": "r"}, "write a decimal point"),
    "infinite": ("customer,sku,r\na,x,inf\n", {**SALES, "rating": "r"}, "expected a finite number"),
    "blank id": ("customer,sku\n  ,x\n", SALES, "row 1: found '  ' in the column 'customer'"),
    "padding": ("customer,sku\na,x\nb,[PAD]\n", SALES, r"row 2: found '\[PAD\]'"),
    "keep": ("customer,sku,item_id\na,x,1\n", {**SALES, "keep": "item_id"}, "cannot keep its name"),
    "unknown form": ("customer,sku\na,x\n", {"form": "nonsense"}, "it takes auto | table"),
    "another form": ("customer,sku\na,x\n", {"form": "yelp"}, "does not have the form 'yelp'"),
    "test part of MIND": ("1\tU1\t11/11/2019 9:05:58 AM\t\tN5 N3\n", {}, "found the impression 'N5'"),
    "MIND and a name": (FORMS["behaviors.tsv"][0], {"time": "impression"}, "so that time cannot be"),
    "columns": ("a,x\n", {**SALES, "columns": "customer"}, "names 1: customer"),
    "unknown encoding": ("customer,sku\na,x\n", {**SALES, "encoding": "klingon"}, "encoding is 'klingon'"),
    "latin-1": ("customer,sku\na,é\n".encode("latin-1"), SALES, "cannot be read as utf-8.*--encoding"),
    "latin-1, late": (("customer,sku\n" + "a,x\n" * 300_000 + "a,é\n").encode("latin-1"), SALES, "encod"),
    "utf-16": ("customer,sku\na,x\n".encode("utf-16"), SALES, "--encoding=utf-16"),
    "half a gzip": (gzip.compress((HEAD + "a,x,1\n" * 999).encode())[:-9], SALES, "cannot be read"),
    "zip": (b"PK\x03\x04rest", SALES, "archive or a spreadsheet"),
    "half a Parquet": (b"PAR1rest", SALES, "cannot be read as Parquet"),
    "JSON array": ('[{"customer": "a"}]\n', SALES, "one JSON object a line"),
    "broken JSON": ('{"customer": "a",\n', SALES, "line 1: .* is not JSON"),
    "JSON of two types": ('{"customer": "a", "sku": "x"}\n{"customer": 1, "sku": "y"}\n', SALES, "row 1"),
    "JSON list": ('{"customer": ["a"], "sku": "x"}\n', SALES, "holds a list"),
    "JSON and separator": ('{"customer": "a", "sku": "x"}\n', {**SALES, "separator": ","}, "leave it out"),
    "misspelt": ("customer,sku\na,x\n", {"usr": "a"}, r"did you mean 'user'"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_read_is_one_line(file, name):
    content, options, said = WRONG[name]
    with pytest.raises(UsageError, match=said) as caught:
        own_data(file(content), **options)
    assert len(str(caught.value)) < 600 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (frame(customer=["a", 1]), r"'customer' mixes values \(1 of type str, 1 of type int\)"),
        (frame(customer=[1.5, 2]), r"row 1: found 1.5"),
        (frame(customer=[True, False]), "values of type bool"),
        (frame(customer=[None, None]), "expected ids"),
        (frame(customer=pd.to_datetime(["2024-01-01"] * 2)), "values of type timestamp"),
        (frame(customer=np.array([2**24 + 2, 1], np.float32)), "where floats are exact"),
        (frame().set_index("customer"), "reset_index"),
        (frame().iloc[:0], "no rows"),
        (pa.table({"customer": [["a"]], "sku": ["x"]}), "values of type list"),
        ([("a", "x")], "is of type list"),
        (None, "is of type NoneType"),
    ],
)
def test_a_table_in_memory_that_cannot_be_read_is_one_line(data, said):
    with pytest.raises(UsageError, match=said):
        own_data(data, **SALES)


def test_a_path_that_is_no_file_is_one_line(tmp_path):
    with pytest.raises(UsageError, match="there is no file"):
        own_data(tmp_path / "none.csv", **SALES)
    (tmp_path / "part-0.parquet").write_bytes(b"")
    with pytest.raises(UsageError, match=r"is a folder; name a file in it, such as part-0\.parquet"):
        own_data(tmp_path, **SALES)
    with pytest.raises(UsageError, match="an address"):
        own_data("s3://bucket/sales.csv", **SALES)


def test_ids_that_a_spreadsheet_has_rounded_are_told():
    table = pd.DataFrame({"customer": ["9.0072E+15", "9.0072E+15", "8,1E+15", "7"], "sku": list("abca")})
    (note,) = own_data(table, user="customer", item="sku").notes
    assert note.startswith("2 ids of customer have the form that a spreadsheet gives to long numbers")


# What is written.

ODD = [
    "007",
    "1.0",
    "NA",
    "nan",
    "a,b",
    "tab\there",
    'quote"',
    '"quoted"',
    "line\nend",
    "carriage\rreturn",
    " blank",
    "ü",
    "a;b",
    "-1",
]


@pytest.mark.parametrize("name", ["shop.inter", "shop.inter.parquet"])
@pytest.mark.parametrize("odd", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_a_data_set_reads_what_was_written(tmp_path, name, odd, whole):
    draw = random.Random(3)
    ids = ODD if odd else [f"i{number}" for number in range(12)]
    table = pd.DataFrame(
        {
            "customer": [draw.choice(ids) for _ in range(200)],
            "sku": [draw.choice(ids) for _ in range(200)],
            "r": [draw.choice([1, 2 if whole else 2.5, None]) for _ in range(200)],
            "date": [1_700_000_000_000 + draw.randrange(10**6) * (1000 if whole else 1) for _ in range(200)],
        }
    )
    found = own_data(table, **DATED, rating="r")
    (tmp_path / "shop").mkdir()
    found.write(tmp_path / "shop" / name)
    options = {"dataset": "shop", "data_path": str(tmp_path), "use_gpu": False, "normalize_all": False}
    dataset = create_dataset(Config("Pop", overrides=options | {"load_col": {"inter": found.columns}}))
    for field, column in (("user_id", "customer"), ("item_id", "sku")):
        assert dataset.id2token(field, dataset.inter_feat[field]).tolist() == table[column].tolist()
    assert np.allclose(dataset.inter_feat["timestamp"], table["date"] / 1000, rtol=0, atol=1e-6)
    gaps = dataset.gaps["rating"]
    assert (gaps == table["r"].isna()).all()
    assert (dataset.inter_feat["rating"][~gaps] == table["r"][~gaps]).all()


def test_a_data_set_without_a_name_is_called_after_its_file():
    assert [name_of(one) for one in ("a/My sales.csv.gz", "x.parquet", frame(), ".csv")] == [
        "My_sales", "x", "data", "csv",
    ]  # fmt: skip

"""Tables of labels are read whole, or refused with file and line."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gbench.errors import DataError, GbenchError
from gbench.reading.tables import Table, read_csv


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


def table(path: Path, text: str, *names: str) -> Table:
    path.write_text(text, encoding="utf-8")
    return read_csv(path, names)


def test_columns_are_named_by_the_first_line_or_by_the_caller(path: Path) -> None:
    assert table(path, "id,value\na,1\n").columns == {"id": ["a"], "value": ["1"]}
    assert table(path, "a,1\n", "id", "value").columns == {"id": ["a"], "value": ["1"]}


def test_quoted_text_may_go_over_lines_and_lines_are_still_counted_right(path: Path) -> None:
    read = table(path, 'id,cif,value\na,"x\ny\nz",1\n\nb,"x",much\n')
    assert read.column("cif") == ["x\ny\nz", "x"]
    assert read.lines == [2, 6]
    with pytest.raises(DataError, match=r"labels.csv, line 6: value is 'much', not a number; leave it empty"):
        read.numbers("value")


def test_spreadsheets_marks_and_spaces_are_passed_over(path: Path) -> None:
    assert table(path, "\ufeffid , value\r\na , 1\r\n").columns == {"id": ["a"], "value": ["1"]}


def test_missing_labels_are_nan(path: Path) -> None:
    values = table(path, "a,1e-3\nb,\nc,NaN\nd,None\ne,-2\n", "id", "value").numbers("value")
    assert np.isnan(values).tolist() == [False, True, True, True, False]
    assert values[[0, 4]].tolist() == [1e-3, -2]


@pytest.mark.parametrize("value", ["much", "inf", "-inf", "1e999", "1,5", "1 2", "0x10", "1_000"])
def test_what_is_no_number_is_refused(path: Path, value: str) -> None:
    with pytest.raises(DataError, match=r"labels.csv, line 2: value is '.*', not a number"):
        table(path, f'a,1\nb,"{value}"\n', "id", "value").numbers("value")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "labels.csv: the table has no rows"),
        ("id,value\n", "labels.csv: the table has no rows"),
        ("id,value\na,1\nb\n", r"labels.csv, line 3: 1 columns, expected 2 \(id, value\)"),
        ("id,value\na,1,2\n", r"labels.csv, line 2: 3 columns, expected 2"),
        ("id,id\na,1\n", "labels.csv, line 1: column 'id' appears twice"),
        ('id,value\n"a,1\n', r"labels.csv, line 2: not CSV \(unexpected end of data\)"),
        ('id,value\n"a"b,1\n', "labels.csv, line 2: not CSV"),
    ],
)
def test_what_is_no_table_is_refused(path: Path, text: str, match: str) -> None:
    with pytest.raises(DataError, match=match):
        table(path, text)


def test_what_is_no_text_is_refused(path: Path) -> None:
    path.write_bytes(b"id,value\n\xff\xfe,1\n")
    with pytest.raises(DataError, match=r"labels.csv: not a text file in UTF-8 \(byte 9\)"):
        read_csv(path)
    with pytest.raises(DataError, match=r"gone.csv: cannot be read \(No such file or directory\)"):
        read_csv(path.with_name("gone.csv"))


def test_ids_are_unique_and_not_empty(path: Path) -> None:
    with pytest.raises(DataError, match=r"labels.csv, line 3: id 'a' stands on line 1 too; ids are unique"):
        table(path, "a,1\nb,2\na,3\n", "id", "value").ids("id")
    with pytest.raises(DataError, match=r"labels.csv, line 2: the id is empty"):
        table(path, "a,1\n,2\n", "id", "value").ids("id")


def test_a_column_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(DataError, match=r"labels.csv: has no column 'gap', only id, value"):
        table(path, "id,value\na,1\n").numbers("gap")


def test_ids_and_structures_belong_together_both_ways(path: Path) -> None:
    read = table(path, "a,1\nb,2\n", "id", "value")
    read.check_pairs("id", ["b", "a"], "folder")
    with pytest.raises(
        DataError, match=r"labels.csv, line 2: id 'b' has no structure in folder; add it or drop the line"
    ):
        read.check_pairs("id", ["a"], "folder")
    with pytest.raises(DataError, match=r"folder: structure 'c' has no line in labels.csv; add one"):
        read.check_pairs("id", ["a", "b", "c"], "folder")


@settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(),
        st.text(alphabet='ab1,.\n\r"\0 ;é-').map(lambda text: text.encode()),
        st.lists(st.sampled_from([b"a,1\n", b"b,nan\n", b'"a', b"\n", b",", b"c,1e999\n", b"\xff"])).map(b"".join),
    )
)
@example(b"id,value\n" + b"x" * 200_000 + b",1\n")
def test_any_bytes_give_labels_or_one_sentence(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    path.write_bytes(content)
    try:
        read = read_csv(path, ("id", "value"))
        ids, values = read.ids("id"), read.numbers("value")
    except GbenchError as error:
        assert str(error).startswith("fuzz.csv")
        assert "\n" not in str(error)
        assert len(str(error)) < 500
    else:
        assert len(ids) == len(set(ids)) == len(values) > 0
        assert not np.isinf(values).any()

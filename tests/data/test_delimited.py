"""Tables of text, against Python's own csv and pandas."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbn.data.delimited import read_delimited
from jaxbn.data.values import text
from jaxbn.errors import UserError


def cells(content, **options):
    sheet = read_delimited(
        content.encode() if isinstance(content, str) else content, "t.csv", **{"header": None} | options
    )
    return sheet.names, [text(column).tolist() for column in sheet.columns]


def test_spaces_blank_lines_and_windows_line_ends():
    names, columns = cells("\n a , b \r\n\r\n 1, x y \r\n   \r\n2 ,z\r\n")
    assert names == ("a", "b")
    assert columns == [["1", "2"], ["x y", "z"]]


def test_quotes_hold_separators_line_ends_and_spaces():
    names, columns = cells('a, "b, c" ,d\n1, "x, ""y""", 3\n\n2,"two\n\nlines" ,4\n')
    assert names == ("a", "b, c", "d")
    assert columns == [["1", "2"], ['x, "y"', "two\n\nlines"], ["3", "4"]]


def test_a_quote_within_a_field_is_a_character():
    assert cells('a,b\n5" pipe,1\nx,2\n')[1] == [['5" pipe', "x"], ["1", "2"]]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("quote", [False, True])
def test_separator_is_found(separator, quote):
    row = separator.join(['"1,5"' if quote and separator != "," else "1", "2", "3"])
    names, columns = cells(separator.join("abc") + "\n" + (row + "\n") * 3)
    assert names == ("a", "b", "c")
    assert columns[2] == ["3"] * 3


def test_a_byte_order_mark_is_no_part_of_a_name():
    assert cells("\ufeffa,b\n1,2\n")[0] == ("a", "b")


@pytest.mark.parametrize(
    ("content", "header"),
    [
        ("a,b\n1,2\n", True),
        ("1,2\n3,4\n", False),
        ("1,x\n3,y\n", False),
        ("red,1\nblue,2\n", False),
        ("0,1,target\n5.5,6.5,1\n7.5,8.5,0\n", True),
        ("0,1,2,kind\n5,6,1,x\n7,8,0,y\n", True),
        ("0,1,kind\n5,6,x\n7,8,y\n", False),
        (",a,y\n0,1.5,x\n1,2.5,z\n", True),
        ("colour,size\nred,big\nblue,small\n", True),
        ("red,big\nblue,small\nred,small\n", False),
        ("?,2\n3,4\n", False),
        ("true,yes\nfalse,no\n", False),
        ("5.1,?,x\n5.2,1,y\n", False),
    ],
)
def test_header_is_found(content, header):
    sheet = read_delimited(content.encode(), "t.csv", header=None)
    assert sheet.named is header
    assert sheet.num_rows == content.count("\n") - header


def test_header_is_as_told():
    assert cells("a,b\n1,2\n", header=False) == (("column_0", "column_1"), [["a", "1"], ["b", "2"]])
    assert cells("1,2\n3,4\n", header=True) == (("1", "2"), [["3"], ["4"]])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "t.csv is empty"),
        ("\n  \n", "t.csv is empty"),
        ('\n""\n', "t.csv is empty"),
        ("a,b\n", "header and no rows"),
        ("a,b,a\n1,2,3\n", "two columns called 'a'"),
        ("a,b\n1,2\n\n3\n", "line 4 of t.csv has 1 fields where the first row has 2"),
        ("a,b\n1,2\n3,4,5\n", "line 3 of t.csv has 3 fields where the first row has 2"),
        ('a,b\n"x\ny",2\n3,4,5\n', "line 4 of t.csv has 3 fields where the first row has 2"),
        ('a,b\n1,2\n3,"4\n5,6\n', "line 3"),
        ('a,b\n1,2\n"3,4\n5,6\n', "line 3"),
        (b"a,b\n\xff\xfe,2\n", "no table of UTF-8 text"),
        (b'a,b\n"\xff\xfe",2\n', "no table of UTF-8 text"),
        (b"a,\x01\n1,2\n\x01,3\n", "no table of UTF-8 text"),
    ],
)
def test_broken_tables(content, said):
    with pytest.raises(UserError) as error:
        cells(content, header=True if isinstance(content, str) and content.startswith("a,b\n") else None)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


FIELD = st.text(
    st.characters(codec="utf-8", exclude_characters="\x01\x00\r\n", exclude_categories=["Cc", "Zs", "Zl", "Zp"]),
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 4).flatmap(lambda width: st.lists(st.lists(FIELD, min_size=width, max_size=width), min_size=1)))
def test_what_csv_writes_is_read(rows):
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)
    sheet = read_delimited(file.getvalue().encode(), "t.csv", header=False, separator=",")
    written = [list(column) for column in zip(*rows, strict=True)]
    assert [list(column) for column in sheet.columns] == written


def test_numbers_equal_those_of_pandas():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(500, 3)) * 10.0 ** rng.integers(-9, 9, (500, 3)), columns=list("abc"))
    frame.iloc[3, 1] = None
    content = frame.to_csv(index=False)
    names, columns = cells(content)
    assert names == tuple(frame.columns)
    found = np.array([[np.nan if cell is None else float(cell) for cell in column] for column in columns]).T
    np.testing.assert_array_equal(found, frame.to_numpy())

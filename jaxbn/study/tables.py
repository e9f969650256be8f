"""Tables of results for other programs: pandas, and CSV in which no spreadsheet finds a formula."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxbn.errors import UserError
from jaxbn.study.files import write

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


def as_pandas(table: "pl.DataFrame") -> "pd.DataFrame":
    """The same table in pandas; what is null becomes its missing value, so that whole numbers beside it become real.

    Raises:
        UserError: pandas is not installed.
    """
    if importlib.util.find_spec("pandas") is None:
        raise UserError("a table of pandas needs pandas, which is not installed: pip install pandas")
    import pandas as pd

    # Column by column, for polars itself would need pyarrow for it.
    columns: dict[str, Any] = {column.name: column.to_numpy() for column in table.iter_columns()}
    return pd.DataFrame(columns)


def csv_of(table: "pl.DataFrame") -> str:
    """The table as CSV in which nothing is a formula; what is null is empty.

    Example:
        >>> import polars as pl
        >>> print(csv_of(pl.DataFrame({"a": ["=1+1", None], "b": [-1, 2]})), end="")
        a,b
        '=1+1,-1
        ,2
    """
    return harmless(table).write_csv()


def write_csv(table: "pl.DataFrame", path: str | Path, *, overwrite: bool = False) -> None:
    """Write the table as CSV, whole or not at all; see `csv_of`.

    Raises:
        UserError: the file exists, or cannot be written.
    """
    path = Path(path)
    if path.is_dir() or (path.exists() and not overwrite):
        advice = "choose another path" if path.is_dir() else "choose another path, or give overwrite=True"
        raise UserError(f"{str(path)!r} {'is a folder' if path.is_dir() else 'exists already'}: {advice}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, csv_of(table).encode())
    except OSError as error:
        raise UserError(f"cannot write {str(path)!r}: {error.strerror or error}; choose another path") from error


def harmless(table: "pl.DataFrame") -> "pl.DataFrame":
    """The same for CSV: what a spreadsheet would take for a formula begins with an apostrophe, which it shows as text.

    Names of classes come from whoever made the training data. Numbers stay as they are, negative ones too.
    """
    import polars as pl

    texts = [pl.col(name) for name, kind in table.schema.items() if kind == pl.String]
    formulas = [text.str.contains(r"^[=+\-@\t\r]") & text.cast(pl.Float64, strict=False).is_null() for text in texts]
    return table.with_columns(
        pl.when(formula).then(pl.lit("'") + text).otherwise(text).name.keep()
        for text, formula in zip(texts, formulas, strict=True)
    )

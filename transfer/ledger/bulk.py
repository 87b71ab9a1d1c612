"""Many rows in one statement, inserted or, where the primary key is there already, put in the row's place.

Never executemany: SQLite's driver lets go of the interpreter for each row and must get it back, and beside
a busy event loop that takes up to 5 ms each time (sys.getswitchinterval): 300 rows a second were measured
where this way does 50,000 (docs/decisions/0006-ledger.md).

- SQLite: one statement with many rows of values. Few counts of rows are used, so that few statements are
  ever prepared.
- PostgreSQL: one statement with an array a column.

Between statements the event loop gets its turn: a thousand rows hold it up for some milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Executable, Table, bindparam, column, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

Row = tuple[Any, ...]

# SQLite takes 32,766 values a statement (SQLITE_MAX_VARIABLE_NUMBER); our widest table has nine columns.
_COUNTS = (1024, 128, 16, 1)


class BulkUpsert:
    """Writes rows of one table.

    Args:
        table: whose every column is given, in order.
    """

    def __init__(self, table: Table) -> None:
        self._names = [column_.name for column_ in table.columns]
        self._array_statement = _array_statement(table)
        self._row_statement = _row_statement(table)
        self._placeholders = f"({', '.join('?' * len(self._names))})"

    async def write(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        """Write rows, no two of which may have the same primary key."""
        for some in _portions(rows):
            if connection.dialect.name == "postgresql":
                columns = zip(self._names, zip(*some, strict=True), strict=True)
                await connection.execute(self._array_statement, dict(columns))
            else:
                values = tuple(chain.from_iterable(some))
                await connection.exec_driver_sql(self._statement_for(len(some)), values)

    def _statement_for(self, count: int) -> str:
        return self._row_statement.replace(self._placeholders, ", ".join([self._placeholders] * count), 1)


def _portions(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    start = 0
    for count in _COUNTS:
        while len(rows) - start >= count:
            yield rows[start : start + count]
            start += count


def _row_statement(table: Table) -> str:
    """The statement of a single row, as text for SQLite."""
    insert = sqlite.insert(table)
    upsert = insert.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={name: insert.excluded[name] for name in _others(table)}
    )
    return str(upsert.compile(dialect=sqlite.dialect()))


def _array_statement(table: Table) -> Executable:
    arrays = [bindparam(column_.name, type_=postgresql.ARRAY(column_.type)) for column_ in table.columns]
    names = [column_.name for column_ in table.columns]
    rows = func.unnest(*arrays).table_valued(*[column(name) for name in names]).render_derived()
    insert = postgresql.insert(table).from_select(names, select(*[rows.c[name] for name in names]))
    return insert.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={name: insert.excluded[name] for name in _others(table)}
    )


def _others(table: Table) -> list[str]:
    return [column_.name for column_ in table.columns if not column_.primary_key]

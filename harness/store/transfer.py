"""Rows of one recording into another, all of its tables, with their ids moved out of each other's way.

The law of this file: what belongs to what is read from the foreign keys, so that a table of a later
format travels like the others. Into an empty recording, ids stay as they were.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from graphlib import TopologicalSorter

SOURCE = "source"
"""The name under which the other recording is attached."""

WANTED = "wanted"
"""A temporary table: the ids of the exchanges that are wanted of it."""

TABLES = rf"""
SELECT name FROM {SOURCE}.sqlite_schema
WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name NOT LIKE '\_sqlite%' ESCAPE '\'
"""  # noqa: S608  names of ours, here and below
"""Our tables: not SQLite's own, nor that of the migrations, which each recording keeps for itself."""

ARE_WANTED = f"IN (SELECT id FROM temp.{WANTED})"  # noqa: S608
PARTS = {
    "exchanges": f"id {ARE_WANTED}",
    "captures": f"id IN (SELECT capture_id FROM {SOURCE}.exchanges WHERE id {ARE_WANTED})",  # noqa: S608
}
"""Of a part of a recording: what these tables give; the others give what belongs to that alone."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns, and those of them that refer to another table's `id`, with its name."""

    name: str
    columns: tuple[str, ...]
    parents: dict[str, str]

    @property
    def numbered(self) -> bool:
        """Whether its rows have ids."""
        return "id" in self.columns


def transfer(connection: sqlite3.Connection, exchanges: Iterable[int] | None = None) -> None:
    """Insert the rows of the attached recording `SOURCE`, of the same format, into the main one.

    `exchanges` are the ids of those that are wanted, with their captures and all that belongs to
    them; load runs and validation runs, which are about a whole file, come only without it (None:
    everything comes). Inside a transaction of the caller.
    """
    tables = tables_of(connection)
    if exchanges is not None:
        connection.execute(f"CREATE TEMP TABLE {WANTED} (id INTEGER PRIMARY KEY)")
        connection.executemany(f"INSERT INTO temp.{WANTED} VALUES (?)", ((number,) for number in exchanges))  # noqa: S608  ours
    moves = {name: highest(connection, name) for name, table in tables.items() if table.numbered}
    for table in tables.values():
        given = "TRUE" if exchanges is None else part_of(table, tables)
        values = ", ".join(moved(column, table, moves) for column in table.columns)
        connection.execute(
            f"INSERT INTO main.{table.name} ({', '.join(table.columns)}) "  # noqa: S608  names of ours
            f"SELECT {values} FROM {SOURCE}.{table.name} WHERE {given}"
        )
    if exchanges is not None:
        connection.execute(f"DROP TABLE temp.{WANTED}")


def tables_of(connection: sqlite3.Connection) -> dict[str, Table]:
    """The tables of the attached recording by name, each after those that it refers to."""
    found = {name: table_of(connection, name) for (name,) in connection.execute(TABLES).fetchall()}
    order = TopologicalSorter({name: set(table.parents.values()) for name, table in found.items()})
    return {name: found[name] for name in order.static_order()}


def table_of(connection: sqlite3.Connection, name: str) -> Table:
    """What SQLite says of a table."""
    columns = connection.execute(f"PRAGMA {SOURCE}.table_info({name})").fetchall()
    keys = connection.execute(f"PRAGMA {SOURCE}.foreign_key_list({name})").fetchall()
    return Table(name, tuple(row[1] for row in columns), {row[3]: row[2] for row in keys})


def highest(connection: sqlite3.Connection, table: str) -> int:
    """The highest id of a table of the main recording."""
    (number,) = connection.execute(f"SELECT coalesce(max(id), 0) FROM main.{table}").fetchone()  # noqa: S608  ours
    return int(number)


def moved(column: str, table: Table, moves: dict[str, int]) -> str:
    """The expression of a column: ids, and what refers to them, are moved by what the main one has."""
    refers_to = table.name if column == "id" else table.parents.get(column)
    by = moves[refers_to] if refers_to else 0
    return f"{column} + {by}" if by else column


def part_of(table: Table, tables: dict[str, Table]) -> str:
    """The condition for rows that belong to the wanted exchanges, and to nothing that stays behind."""
    if table.name in PARTS:
        return PARTS[table.name]
    if not table.parents:
        return "FALSE"
    belongs = [belonging(column, tables[parent], tables) for column, parent in table.parents.items()]
    return " AND ".join([f"coalesce({', '.join([*table.parents, 'NULL'])}) IS NOT NULL", *belongs])


def belonging(column: str, parent: Table, tables: dict[str, Table]) -> str:
    """The condition for what refers to a row of its parent that comes too, or to none."""
    chosen = f"SELECT id FROM {SOURCE}.{parent.name} WHERE {part_of(parent, tables)}"  # noqa: S608
    return f"({column} IS NULL OR {column} IN ({chosen}))"

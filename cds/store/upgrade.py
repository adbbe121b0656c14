"""From an older schema to this one: what is missing is added, with its defaults; nothing is taken away.

A column that comes later than schema 1 has a default, so that the rows of yesterday are valid today.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, Connection, MetaData, Table, inspect, literal

_OUR_INDEXES: Final = "ix_"


def upgrade(connection: Connection, metadata: MetaData) -> None:
    """Add missing tables, columns and indexes, in the caller's transaction; drop indexes that have had their day.

    Raises
    ------
    ValueError
        When a missing column has no default: a defect of the schema, not of the database.
    """
    there = set(inspect(connection).get_table_names())
    for table in metadata.sorted_tables:
        if table.name not in there:
            table.create(connection)
            continue
        known = {column["name"] for column in inspect(connection).get_columns(table.name)}
        for column in table.columns:
            if column.name not in known:
                _add_column(connection, table, column)
        _renew_indexes(connection, table)


def _add_column(connection: Connection, table: Table, column: Column[Any]) -> None:
    if column.default is None or not column.default.is_scalar:
        raise ValueError(f"column {table.name}.{column.name} is new and has no plain default")
    value = literal(column.default.arg, column.type).compile(  # type: ignore[attr-defined]
        dialect=connection.dialect, compile_kwargs={"literal_binds": True}
    )
    name = connection.dialect.identifier_preparer.format_column(column)
    kind = connection.dialect.type_compiler_instance.process(column.type)
    null = "" if column.nullable else " NOT NULL"
    where = connection.dialect.identifier_preparer.format_table(table)
    connection.exec_driver_sql(f"ALTER TABLE {where} ADD COLUMN {name} {kind} DEFAULT {value}{null}")


def _renew_indexes(connection: Connection, table: Table) -> None:
    there = {str(index["name"]) for index in inspect(connection).get_indexes(table.name)}
    wanted = {str(index.name): index for index in table.indexes}
    for name in there - set(wanted):
        if name.startswith(_OUR_INDEXES):
            connection.exec_driver_sql(f"DROP INDEX {connection.dialect.identifier_preparer.quote(name)}")
    for name, index in wanted.items():
        if name not in there:
            index.create(connection)

"""A network's table as plain data, for networks that have no registered name (chapter 8).

A searched network is a table that no file of this package holds. As plain data it goes into a
recipe, a checkpoint or a JSON file, and comes back as the same :class:`NetworkSpec`.
"""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any

from mnv3lib.models.rows import ROW_KINDS, NetworkSpec, Row

__all__ = ["from_table", "to_table"]


def to_table(spec: NetworkSpec) -> dict[str, Any]:
    """A network as plain data, ready for JSON.

    Args:
        spec: A table of rows that have a name as data, see
            :func:`mnv3lib.models.rows.row_kind`.

    Returns:
        The fields of the specification that are not None; each row is a dictionary that names
        its kind first.

    Raises:
        ValueError: A row of another kind; the message names it.

    Example:
        >>> from mnv3lib import model_spec
        >>> to_table(model_spec("mobilenet_v3_small"))["rows"][0]
        {'kind': 'conv', 'kernel': 3, 'out': 16, 'act': 'hard_swish', 'stride': 2, 'scaling': 'always'}
    """  # noqa: E501  an output is one line
    content = {f.name: getattr(spec, f.name) for f in fields(spec)}
    content = {name: value for name, value in content.items() if value is not None}
    rows = [_row_to_data(index, row) for index, row in enumerate(spec.rows)]
    return {**content, "rows": rows, "stages": list(spec.stages)}


def from_table(content: Mapping[str, Any]) -> NetworkSpec:
    """A network from what :func:`to_table` made of it.

    Raises:
        ValueError: Something is missing or unknown; the message names the row and the field.
    """
    _check_fields("a network", NetworkSpec, content)
    rows = tuple(_row_from_data(index, row) for index, row in enumerate(content["rows"]))
    return NetworkSpec(**{**content, "rows": rows, "stages": tuple(content.get("stages", ()))})


def _row_to_data(index: int, row: Row) -> dict[str, Any]:
    names = {kind: name for name, kind in ROW_KINDS.items()}
    if type(row) not in names:
        raise ValueError(
            f"row {index} is a {type(row).__name__}, which tables do not hold as data; they hold "
            f"{', '.join(kind.__name__ for kind in names)}"
        )
    return {"kind": names[type(row)], **asdict(row)}


def _row_from_data(index: int, content: Mapping[str, Any]) -> Row:
    values = dict(content)
    kind = values.pop("kind", None)
    if kind not in ROW_KINDS:
        raise ValueError(f"row {index} is of kind {kind!r}; there are {', '.join(ROW_KINDS)}")
    _check_fields(f"row {index} ({kind})", ROW_KINDS[kind], values)
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return ROW_KINDS[kind](**values | lists)


def _check_fields(what: str, kind: type, content: Mapping[str, Any]) -> None:
    known = {f.name: f.default is MISSING for f in fields(kind)}
    if unknown := sorted(set(content) - set(known)):
        raise ValueError(f"{what} has no field {unknown[0]!r}; its fields are {', '.join(known)}")
    if missing := [name for name, needed in known.items() if needed and name not in content]:
        raise ValueError(f"{what} lacks {missing[0]!r}")

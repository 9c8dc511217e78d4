"""How the code is built, counted by syntax tree: the counts may only fall. Lower a ceiling when the code is below it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "foundry_tasks"
MAX_LINES, MAX_PARAMETERS = 60, 6
TABLE_COLUMNS = {
    "date", "ticker", "horizon", "p_up", "score", "base_rate", "mean_p_up", "net", "gross", "member", "close", "adj_close",
}  # fmt: skip
"""Names that are columns of tables and matrices, which are read by name."""
CEILINGS = {"untyped": 5, "any": 14, "long": 0, "wide": 0}


def modules(*parts: str) -> Iterator[tuple[Path, ast.Module]]:
    """Every module of the package, or of some of its packages."""
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE)
        if not parts or place.parts[0] in parts:
            yield place, ast.parse(path.read_text())


def literal_key(node: ast.AST) -> str | None:
    """The literal text by which a node takes something out of a mapping: `x["key"]`, `x.get("key")`, `itemgetter("key")`."""
    key: ast.expr | None = None
    if isinstance(node, ast.Subscript):
        key = node.slice
    elif isinstance(node, ast.Call) and node.args:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        key = node.args[0] if name in {"get", "itemgetter"} else None
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None


def untyped_access() -> list[str]:
    """Where stages and the report take something out of a document by a literal key."""
    return [
        f"{place}:{node.lineno} {key}"
        for place, tree in modules("stages", "report")
        for node in ast.walk(tree)
        if (key := literal_key(node)) is not None and key not in TABLE_COLUMNS
    ]


def any_and_object() -> list[str]:
    """Where a type says `Any` or `object`, outside the adapters of libraries."""
    return [
        f"{place}:{node.lineno}"
        for place, tree in modules()
        if place.parts[0] != "adapters"
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id in {"Any", "object"}
    ]


def functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for place, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield place, node


def long_functions() -> list[str]:
    """Functions of more lines than a screen shows."""
    return [f"{place} {one.name}" for place, one in functions() if one.end_lineno - one.lineno + 1 > MAX_LINES]


def wide_functions() -> list[str]:
    """Functions of too many parameters, layers and forms apart."""
    found = []
    for place, one in functions():
        names = [arg.arg for arg in (*one.args.posonlyargs, *one.args.args, *one.args.kwonlyargs)]
        if "layers" not in place.parts and len(set(names) - {"self", "cls"}) > MAX_PARAMETERS:
            found.append(f"{place} {one.name}")
    return found


@pytest.mark.parametrize(
    ("count", "of"),
    [("untyped", untyped_access), ("any", any_and_object), ("long", long_functions), ("wide", wide_functions)],
)
def test_a_count_never_rises_and_its_ceiling_follows_it_down(count, of):
    found = of()
    assert len(found) <= CEILINGS[count], "\n".join(found)
    assert len(found) == CEILINGS[count], f"{count}: {len(found)} now; write that as its ceiling"

"""Numerical code takes arrays and configs: no disk, network, environment or clock, except where listed here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "foundry_tasks"
ROOMS = ("features", "statistics", "evaluation", "models", "walk", "gates", "audit")
SHARED = ("data/panel.py", "data/ranks.py", "data/sessions.py", "data/dates.py", "data/sectors.py")
"""Modules of `data` that these packages may import; they are pure too."""
CONTRACT = ("config", "documents", "errors", "standard_portfolio")
"""Modules of `contract` that these packages may import."""

EXCEPTIONS = {
    # Bundles are files. Registered versions name this module's `_load_pyfunc` as their loader.
    "models/bundle.py": {"pathlib", "zipfile"},
    # Keras and TensorFlow read their settings from the environment when they are imported.
    "models/deep/keras_backend.py": {"os", "environ"},
    # LightGBM loads a system library; if it is missing, XGBoost's copy is loaded instead.
    "models/openmp.py": {"os", "pathlib", "glob", "read_bytes", "memfd_create", "fdopen"},
}

MODULES = {
    "boto3", "fcntl", "glob", "great_expectations", "http", "httpx", "logging", "mlflow", "mmap", "multiprocessing", "os",
    "pathlib", "pickle", "platform", "pyarrow", "requests", "shutil", "socket", "sqlite3", "ssl", "subprocess", "tempfile",
    "time", "urllib", "zipfile",
}  # fmt: skip
CALLS = {
    "fdopen", "fromfile", "genfromtxt", "getenv", "glob", "input", "iterdir", "loadtxt", "memfd_create", "memmap", "mkdir", "now",
    "open", "open_memmap", "perf_counter", "print", "read_bytes", "read_csv", "read_parquet", "read_text", "savetxt",
    "to_csv", "to_parquet", "today", "tofile", "unlink", "urlopen", "utcnow", "write_bytes", "write_text",
}  # fmt: skip
ATTRIBUTES = {"argv", "environ", "stderr", "stdin", "stdout"}


def reached(tree: ast.Module) -> set[str]:
    """Uses of disk, network, environment and clock in a module."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.module or "").split(".")[0]} & MODULES
            found |= {alias.name for alias in node.names} & (CALLS | ATTRIBUTES)
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            found |= {name} & CALLS
            says_now = name == "datetime64" and node.args and isinstance(node.args[0], ast.Constant)
            if says_now and node.args[0].value in {"now", "today"}:
                found.add("now")
        elif isinstance(node, ast.Attribute):
            found |= {node.attr} & ATTRIBUTES
    return found


def pure_modules() -> Iterator[tuple[str, ast.Module]]:
    rooms = (path for room in ROOMS for path in sorted((PACKAGE / room).rglob("*.py")))
    for path in (*rooms, *(PACKAGE / name for name in SHARED)):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text())


def imported(tree: ast.Module) -> Iterator[str]:
    """Modules of the package that a module imports, as dotted names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_numerical_code_reaches_no_disk_network_environment_or_clock():
    found = {name: names for name, tree in pure_modules() if (names := reached(tree))}
    assert found.keys() == EXCEPTIONS.keys(), {name: found[name] for name in found.keys() - EXCEPTIONS.keys()}
    for name, names in found.items():
        assert names == EXCEPTIONS[name], name


def test_numerical_code_imports_only_what_is_pure_of_data_and_contract():
    data = {"foundry_tasks.data." + Path(name).stem for name in SHARED}
    contract = {f"foundry_tasks.contract.{name}" for name in CONTRACT}
    allowed = tuple(f"{name}." for name in data | contract)
    for name, tree in pure_modules():
        for module in imported(tree):
            if module.startswith(("foundry_tasks.data", "foundry_tasks.contract")):
                assert f"{module}.".startswith(allowed), f"{name} imports {module}"


@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "from pathlib import Path",
        "import urllib.request",
        "from time import monotonic",
        "file = open('prices.csv')",
        "text = path.read_text()",
        "seed = os.environ['SEED']",
        "from os import environ",
        "now = datetime.now(UTC)",
        "day = date.today()",
        "day = np.datetime64('today')",
        "np.memmap('values')",
    ],
)
def test_each_way_out_is_seen(line):
    assert reached(ast.parse(line))


def test_a_word_of_the_same_spelling_is_no_way_out():
    assert not reached(ast.parse("opens = history.open\nfrom datetime import date, time\nnp.load(io.BytesIO(state))"))

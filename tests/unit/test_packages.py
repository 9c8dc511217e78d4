"""Installed packages: size of a laptop's environment, and training libraries only where deep models are trained."""

import re
from importlib import metadata
from importlib.util import cache_from_source
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
LAPTOP_BYTES = 1.5e9


def locked(group):
    """Names of the packages in a group's lock file."""
    return set(
        re.findall(r"^([a-z0-9._-]+)==", (REPOSITORY / "requirements" / f"{group}.txt").read_text(), re.MULTILINE)
    )


def installed_bytes(name):
    """Bytes of a package's files and their bytecode."""
    files = [Path(file.locate()) for file in metadata.files(name) or ()]
    files += [Path(cache_from_source(str(file))) for file in files if file.suffix == ".py"]
    return sum(file.stat().st_size for file in set(files) if file.exists())


def test_the_packages_of_a_laptop_take_no_more_than_they_may():
    here = {distribution.name.lower().replace("_", "-").replace(".", "-") for distribution in metadata.distributions()}
    sizes = {name: installed_bytes(name) for name in locked("laptop") & here}
    assert len(sizes) > 200
    assert sum(sizes.values()) <= LAPTOP_BYTES, sorted(sizes, key=sizes.get)[-10:]


@pytest.mark.parametrize(
    ("package", "groups"),
    [("jax", {"dev-deep"}), *((name, {"cuda", "deep", "dev-deep"}) for name in ("keras", "tensorflow"))],
)
def test_what_trains_networks_is_only_where_networks_are_trained(package, groups):
    lists = {path.stem for path in (REPOSITORY / "requirements").glob("*.txt")} - {"all", "peers"}
    assert {group for group in lists if package in locked(group)} == groups

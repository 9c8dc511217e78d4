"""Names of base models and price sources, from the names of their files. A new file adds a name.

No module is imported, so DAG files and start-up get the names without loading the libraries.
"""

from collections.abc import Sequence
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def names_in(folder: str, *, first: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of the modules in a folder of the package: `first` in that order, then the others by alphabet.

    Sub-folders and names that begin with an underscore are left out. folder: relative to `foundry_tasks`.

    >>> names_in("models/base", first=["logistic"])[0]
    'logistic'
    """
    names = (path.stem for path in (_PACKAGE / folder).glob("*.py"))
    found = sorted(name for name in names if name.isidentifier() and not name.startswith("_"))
    return (*(name for name in first if name in found), *(name for name in found if name not in first))

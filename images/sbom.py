"""Write each image's contents as CycloneDX 1.6 JSON: Python packages, Debian packages, Go modules of the S3 server.

Packages are read from the image and compared with the lock file. A Python package that the lock lacks, or has in another
version, ends the program with a line that names it.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

REPOSITORY = Path(__file__).parents[1]
TARGET = REPOSITORY / ".foundry" / "sbom"
OWN = "foundry-tasks"
SERVER = REPOSITORY / ".tools" / "bin" / "versitygw"

PYTHON = (
    "from importlib.metadata import distributions as found; import json;"
    "print(json.dumps({one.metadata['Name']: one.version for one in found()}))"
)
DEBIAN = r"dpkg-query --show --showformat '${Package}\t${Version}\t${Architecture}\n'"


def inside(image: str, *command: str) -> str:
    """Output of a command in a container of the image, without network."""
    run = ["docker", "run", "--rm", "--network=none", "--read-only", f"--entrypoint={command[0]}", image, *command[1:]]
    return subprocess.run(run, check=True, capture_output=True, text=True).stdout  # noqa: S603 - fixed words


def normal(name: str) -> str:
    """The name, normalised by PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(group: str) -> dict[str, str]:
    """Package → version, from the lock file of a group."""
    lock = (REPOSITORY / "requirements" / f"{group}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^]]*])?==([^ ;\\]+)", lock, re.MULTILINE))


def components(name: str, image: str, group: str | None) -> Iterator[Component]:
    """All packages in the image. Exits if a Python package differs from its lock."""
    if group is not None:
        lock = locked(group)
        installed = {
            normal(name): version for name, version in json.loads(inside(image, "python", "-c", PYTHON)).items()
        }
        strangers = {name: got for name, got in installed.items() if name != OWN and lock.get(name) != got}
        if strangers:
            sys.exit(f"{image}: not as requirements/{group}.txt has it: {strangers}. Build the image again.")
        for package, version in sorted(installed.items()):
            yield library(package, version, PackageURL("pypi", None, package, version))
    for line in inside(image, "sh", "-c", DEBIAN).splitlines():
        package, version, architecture = line.split("\t")
        yield library(package, version, PackageURL("deb", "debian", package, version, {"arch": architecture}))
    if name == "s3":
        listing = ["go", "version", "-m", str(SERVER)]
        modules = subprocess.run(listing, check=True, capture_output=True, text=True).stdout  # noqa: S603 - fixed words
        for module, version in re.findall(r"^\t(?:mod|dep)\t(\S+)\t(\S+)", modules, re.MULTILINE):
            yield library(module, version, PackageURL("golang", None, module, version))


def library(name: str, version: str, purl: PackageURL) -> Component:
    """A package as a component with its package URL as reference."""
    return Component(type=ComponentType.LIBRARY, name=name, version=version, purl=purl, bom_ref=purl.to_string())


def sbom(variable: str, image_id: str) -> None:
    """Write `.foundry/sbom/<image>.cdx.json` and print how many packages it lists.

    variable: name of a line in `.images.env`. Exits if a package differs from its lock or the document is not valid.
    """
    name = variable.removeprefix("FOUNDRY_IMAGE_").lower().replace("_", "-")
    group = name.removeprefix("stage-")
    has_lock = (REPOSITORY / "requirements" / f"{group}.txt").is_file()
    image = Component(
        type=ComponentType.CONTAINER,
        name=f"foundry/{name}",
        version=image_id,
        bom_ref=image_id,
        properties=[Property(name="foundry:lock", value=f"requirements/{group}.txt")] if has_lock else [],
    )
    bom = Bom(components=components(name, image_id, group if has_lock else None))
    bom.metadata.component = image
    bom.register_dependency(image, bom.components)
    document = JsonV1Dot6(bom).output_as_string(indent=1)
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(document)
    if wrong:
        sys.exit(f"foundry/{name}: not valid CycloneDX: {wrong}")
    path = TARGET / f"{name}.cdx.json"
    path.write_text(document)
    print(f"{path.relative_to(REPOSITORY)}: {len(bom.components)} packages")  # noqa: T201 - a command's answer


if __name__ == "__main__":
    TARGET.mkdir(parents=True, exist_ok=True)
    images = REPOSITORY / ".images.env"
    if not images.is_file():
        sys.exit(
            "no images yet: `make images` builds them, `make closed-network-images` where no registry is in reach."
        )
    for line in images.read_text().splitlines():
        sbom(*line.split("=", 1))

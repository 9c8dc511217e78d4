"""CI runs every block of README and of the pages that it links to, except for listed reasons."""

import re
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader

import pytest

from foundry_tasks.contract.environment_variables import REPOSITORY


@pytest.fixture(scope="module")
def readme():
    loader = SourceFileLoader("ci_readme", str(REPOSITORY / ".ci" / "readme"))
    module = module_from_spec(spec_from_loader("ci_readme", loader))
    sys.modules["ci_readme"] = module
    loader.exec_module(module)
    return module


def blocks(readme, script):
    return list(readme.blocks_of("page.md", f"text\n```sh\n{script}\n```\n"))


def test_every_block_of_readme_runs_on_a_laptop_or_on_the_stack(readme):
    places = [(block.name, block.where) for block in readme.all_blocks() if block.page == "README.md"]
    assert {where for _, where in places} == {"laptop", "stack"}, places


def test_a_block_runs_as_it_is_written(readme):
    script = "make demo     # comment\nmake test FOLDER=\"a b\" \\\n  MORE='$x'"
    (block,) = blocks(readme, script)
    assert (block.script, block.where, block.left_out) == (script, "laptop", ())


@pytest.mark.parametrize(
    "command", ["make up", "make foundry ARGS='ledger verify'", "test -e x && make down", "make trigger"]
)
def test_a_command_that_needs_docker_makes_its_block_one_of_the_stack(readme, command):
    assert blocks(readme, f"echo first\n{command}  # comment")[0].where == "stack"


@pytest.mark.parametrize(
    "command", ["helm install foundry helm/foundry", "for x in a; do kind load $x; done", "sudo kubectl get pods"]
)
def test_a_block_that_needs_a_cluster_is_left_out_and_says_why(readme, command):
    (block,) = blocks(readme, f"make images\n{command}")
    assert (block.where, block.left_out) == ("left out", ("the block needs a cluster",))


@pytest.mark.parametrize("command", ["make ui", "make audit SET=x", ".venv/bin/foundry run audit --set market=eu"])
def test_a_command_that_does_not_end_in_time_is_left_out_of_its_block_alone(readme, command):
    (block,) = blocks(readme, f"make demo\n{command}   # comment\necho last")
    assert block.script == "make demo\necho last"
    assert block.left_out[0].startswith(command)
    assert blocks(readme, command)[0].where == "left out"


def test_where_no_image_registry_is_in_reach_the_form_that_the_page_names_runs(readme):
    page = "```sh\nmake images   # or make closed-network-images\nmake up\n```\n"
    (block,) = readme.blocks_of("page.md", page)
    assert block.script == "make closed-network-images   # or make closed-network-images\nmake up"
    with pytest.raises(SystemExit, match="name `make closed-network-images` on the page too"):
        list(readme.blocks_of("page.md", "```sh\nmake images\n```\n"))


def test_the_files_that_blocks_name_are_made_from_the_sample(readme, tmp_path):
    readme.make_examples("make demo PRICES=prices.parquet SECTORS=sectors.csv VIX=vix.parquet", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["prices.parquet", "sectors.csv", "vix.parquet"]


def test_every_file_that_a_block_of_a_laptop_names_can_be_made(readme):
    named = {
        file
        for block in readme.all_blocks()
        if block.where == "laptop"
        for file in re.findall(r"[\w-]+\.(?:parquet|csv|json|toml)\b", block.script)
    }
    assert named <= set(readme.EXAMPLES)


def test_ci_makes_nothing_that_readme_and_its_pages_do_not_name(readme):
    run = (REPOSITORY / ".ci" / "run").read_text()
    pages = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
    told = "\n".join(page.read_text() for page in pages)
    code = "\n".join(line for line in run.splitlines() if not re.match(r"\s*(#|phase )", line))
    made = set(re.findall(r"\bmake ([\w./-]+)", code))
    assert made
    assert {target for target in made if not re.search(rf"\bmake [^\n]*?{re.escape(target)}\b", told)} == set()


def test_the_script_lists_what_it_leaves_out():
    listed = subprocess.run(
        [sys.executable, REPOSITORY / ".ci" / "readme", "list"], capture_output=True, text=True, check=True
    )
    assert "make images: needs an image registry, here it is make closed-network-images" in listed.stdout

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from conftest import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
TRAINING = ("vasa_core/world/", "vasa_core/train/")
OPTIONAL = ("vasa_core/trust/phrase.py", "vasa_core/evaluate/motion_report.py", "vasa_core/showing.py",
            "vasa_core/evaluate/workshop.py", "vasa_core/wav2vec.py", "vasa_core/cluster.py")  # fmt: skip
"""These say by name what to install where its extra is absent."""
EXTRAS = PROJECT["optional-dependencies"]


def name(requirement: str) -> str:
    """The package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9_.-]+", requirement)[0]).lower()


def pins() -> dict[str, str]:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    return {name(line): line.split("==")[1] for line in lines if line and not line.startswith("#")}


def conda_lines() -> list[str]:
    lines = (REPOSITORY / "environment.yml").read_text().splitlines()
    return [line.split("#")[0].strip().removeprefix("- ") for line in lines if line.split("#")[0].strip()]


def direct() -> dict[str, str]:
    """Every package that pyproject.toml asks for in any extra -> its requirement."""
    return {name(r): r for r in [*PROJECT["dependencies"], *(r for extra in EXTRAS.values() for r in extra)]}


def test_every_requirement_is_pinned_within_its_range():
    from packaging.requirements import Requirement

    for package, requirement in direct().items():
        assert Requirement(requirement).specifier.contains(pins()[package]), requirement


def test_every_pin_is_exact_and_alone():
    lines = [line for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+", line) for line in lines)
    assert len({name(line) for line in lines}) == len(lines)


def test_environment_yml_asks_for_the_same_packages_and_pins():
    wanted = {f"{package}=={pins()[package]}" for package in direct()}
    assert {line for line in conda_lines() if "==" in line} == wanted


def test_environment_yml_has_one_pip_block_under_the_same_constraints():
    lines = conda_lines()
    assert lines.count("pip:") == 1, "conda keeps only the last of several pip blocks"
    assert "-c constraints.txt" in lines
    assert "-e ." in lines
    assert "conda-forge" in lines


def test_environment_yml_has_a_python_that_pyproject_allows():
    from packaging.specifiers import SpecifierSet

    (python,) = (line.removeprefix("python=") for line in conda_lines() if line.startswith("python="))
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"{python}.1")


def test_no_file_names_a_package_host():
    host = re.compile(r"(index-url|find-links|https?://\S+/(simple|whl)\b)")
    for file in ("pyproject.toml", "constraints.txt", "environment.yml", "Makefile", ".ci/run", "README.md"):
        assert not host.search((REPOSITORY / file).read_text()), file


def third_party_imports(folder: str) -> dict[str, set[str]]:
    """Top-level package -> the modules of ours that import it."""
    found: dict[str, set[str]] = {}
    ours = {"vasa_core", "demo", *(path.stem for path in (REPOSITORY / "tests").glob("*.py"))}
    for path in sorted((REPOSITORY / folder).glob("**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            for top in {n.split(".")[0] for n in names} - set(sys.stdlib_module_names) - ours:
                found.setdefault(top, set()).add(path.relative_to(REPOSITORY).as_posix())
    return found


@pytest.mark.parametrize("folder", ["vasa_core", "demo", "tests", "assets", "notebooks"])
def test_everything_imported_is_declared(folder):
    core = {name(r) for r in PROJECT["dependencies"]}
    distributions = packages_distributions()
    for package, importers in third_party_imports(folder).items():
        names = {name(d) for d in distributions.get(package, [package])}
        at_run_time = {i for i in importers if i.startswith("vasa_core/") and not i.startswith((*TRAINING, *OPTIONAL))}
        assert names & (core if at_run_time else set(direct())), f"{package}, imported by {sorted(importers)}"

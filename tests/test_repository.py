"""House rules that no linter knows, as tests."""

import ast
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import atomic_manifest
from atomic_manifest import errors
from atomic_manifest.version import VERSION

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
WRITTEN_BY_HAND = [
    *(path for path in ROOT.glob("*.*") if path.suffix in {".md", ".toml", ".yaml"}),
    ROOT / ".ci" / "run",
    *(
        path
        for folder in ("src", "tests", "benchmarks", "examples", "docs")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in {".py", ".md", ".toml", ".yaml", ".yml"}
        and path != Path(__file__)  # it spells out what is forbidden
    ),
]
MODULES = sorted(SOURCE.rglob("*.py"))
EXCEPTIONS = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, BaseException)
]
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 70
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")
LOCAL_PATH = re.compile(r"(?<![\w.-])(?<!:/)/(?:home|root|work|Users)/\w")


def occurrences(
    expression: re.Pattern[str], files: Sequence[Path] = WRITTEN_BY_HAND, root: Path = ROOT
) -> list[str]:
    """Where the expression is found, as `path:line`."""
    return [
        f"{path.relative_to(root)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if expression.search(line)
    ]


def function_lengths(path: Path) -> Iterator[tuple[str, int]]:
    """Names of the functions of a module with their lines, documentation apart."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node) is not None:
                lines -= node.body[0].end_lineno - node.body[0].lineno + 1
            yield f"{path.name}:{node.name}", lines


def test_nothing_is_left_to_do_later():
    assert occurrences(UNFINISHED) == []


def test_no_path_of_somebodys_machine():
    assert occurrences(LOCAL_PATH) == []


def test_rules_on_text_find_what_they_look_for(tmp_path):
    example = tmp_path / "example.py"
    example.write_text("FIXME\nurl = 's3://home/x'\nsee /home/somebody/x\n")
    assert occurrences(UNFINISHED, [example], tmp_path) == ["example.py:1"]
    assert occurrences(LOCAL_PATH, [example], tmp_path) == ["example.py:3"]


def test_no_source_file_is_too_long():
    lengths = {path: path.read_text(encoding="utf-8").count("\n") for path in MODULES}
    assert {path.name: n for path, n in lengths.items() if n > MAX_FILE_LINES} == {}


def test_no_function_is_too_long():
    too_long = [
        (name, lines)
        for path in MODULES
        for name, lines in function_lengths(path)
        if lines > MAX_FUNCTION_LINES
    ]
    assert too_long == []


def test_every_public_name_exists_and_is_documented():
    undocumented = [
        name
        for name in atomic_manifest.__all__
        if callable(value := getattr(atomic_manifest, name)) and not value.__doc__
    ]
    assert undocumented == []


@pytest.mark.parametrize("error", EXCEPTIONS, ids=lambda error: error.__name__)
class TestErrors:
    def test_derives_from_the_one_base_and_is_documented(self, error):
        assert issubclass(error, errors.AtomicManifestError)
        assert vars(error).get("__doc__")

    def test_survives_pickling_with_its_details(self, error):
        details = {"path": "_delta_log/0.json", "version": 3, "columns": ("a", "b")}
        original = error("what is wrong", **details)
        copy = pickle.loads(pickle.dumps(original))
        assert type(copy) is error
        assert str(copy) == "what is wrong"
        assert {name: getattr(copy, name) for name in details} == details


def test_layers_hold():
    program = Path(sys.executable).with_name("lint-imports")
    command = [program, "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_changelog_tells_of_the_current_version():
    headings = re.findall(
        r"^## .*", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert any(VERSION in heading for heading in headings)


def test_readme_has_one_test_command_for_ci_to_run():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(
        r"^<!-- test command -->\n+```\w*\n(.+?)\n```$", readme, re.MULTILINE | re.DOTALL
    )
    assert len(blocks) == 1
    assert "pytest" in blocks[0]

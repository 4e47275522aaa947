"""The docs and the README: they build without a warning, a browser draws them, and what they name is there."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from scalespan.adapters.interface import ADAPTERS, EngineMissing, Options
from scalespan.bridges.interface import BRIDGES
from scalespan.bridges.run.cli import app, main

ROOT = Path(__file__).resolve().parents[2]
TEXTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "cases").glob("*/README.md")),
]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FENCE = re.compile(r"^( *)```([\w{}-]*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
# A frame for each page, and what each frame holds when all have loaded.
PROBE = """<!doctype html><title>probe</title>{frames}
<pre></pre><script>
const look = frame => {{
  const page = frame.contentDocument, images = [...page.images];
  return {{
    page: frame.dataset.page, images: images.length, drawn: page.querySelectorAll('svg').length,
    broken: images.filter(image => !image.naturalWidth).map(image => image.src),
    flat: [...page.querySelectorAll('math')].filter(formula => formula.getBoundingClientRect().height < 4).length,
    fetched: [...page.querySelectorAll('script[src], link[rel=stylesheet], img, iframe')]
      .map(each => each.src || each.href).filter(place => /^https?:/.test(place)),
    text: page.body.innerText.length,
    over: page.documentElement.scrollWidth - page.documentElement.clientWidth,
  }};
}};
onload = () => document.querySelector('pre').textContent =
  JSON.stringify([...document.querySelectorAll('iframe')].map(look));
</script>"""


def blocks(path: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language in a text."""
    found = FENCE.finditer(path.read_text(encoding="utf-8"))
    return [re.sub(rf"^{each[1]}", "", each[3], flags=re.MULTILINE) for each in found if each[2] == language]


def cases(language: str) -> list[Any]:
    """Return each block of a language in the texts, as a case of a test."""
    return [
        pytest.param(block, id=f"{path.relative_to(ROOT)}-{number}")
        for path in TEXTS
        for number, block in enumerate(blocks(path, language))
    ]


# ---- they build ----


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    for name in ("sphinx", "furo", "myst_parser"):
        pytest.importorskip(name, reason="the docs are built with pip install '.[docs]'")
    site = tmp_path_factory.mktemp("site")
    command = ["sphinx", "--quiet", "--fail-on-warning", "--keep-going", "-d", site / "trees", ROOT / "docs", site]
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
    return site, done


@pytest.mark.slow
def test_they_build_without_a_warning(built: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    assert built[1].returncode == 0, built[1].stderr


BASES = ("OpenMMSettings", "FadeOptions", "AnyTask", "Inclusions")  # their keys are listed with each of their heirs


def options_classes() -> Iterator[type[Options]]:
    """Yield every class of keys that a case can hold."""
    for registry in (ADAPTERS, BRIDGES):
        registry.listing()  # imports what is ready
    for module in ("case", "tasks", "coupled"):
        importlib.import_module(f"scalespan.bridges.run.{module}")
    waiting = [Options]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            file = Path(getattr(sys.modules.get(kind.__module__), "__file__", None) or "/")
            ours = file.is_relative_to(ROOT / "adapters") or file.is_relative_to(ROOT / "bridges")
            public = not kind.__name__.startswith("_") and kind.__name__ not in BASES
            if ours and public and not getattr(kind, "__abstractmethods__", None):
                yield kind


@pytest.mark.slow
def test_every_key_of_a_case_is_in_the_reference(built: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (built[0] / "reference").glob("*.html"))
    kinds = set(options_classes())
    assert len(kinds) > 20
    assert not [kind.__name__ for kind in kinds if f'id="keys-{kind.__name__.lower()}"' not in pages]


# ---- a browser draws them ----


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a real run."""
    case = tmp_path_factory.mktemp("cases") / "two_springs"
    shutil.copytree(ROOT / "cases" / "two_springs", case, ignore=shutil.ignore_patterns("results*"))
    assert main(["run", "--quiet", str(case)]) == 0
    return case / "results" / "report.html"


def browse(pages: Mapping[str, Path], width: int, folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return what a headless browser without a network holds of each page, and what its console says."""
    assert CHROMIUM is not None
    frame = '<iframe data-page="{}" src="{}" width="{}" height="2000"></iframe>'
    frames = "".join(frame.format(name, path.as_uri(), width) for name, path in pages.items())
    probe = folder / "probe.html"
    probe.write_text(PROBE.format(frames=frames), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND"]
    flags += ["--allow-file-access-from-files", "--enable-logging=stderr", f"--user-data-dir={folder / 'profile'}"]
    command = [CHROMIUM, *flags, f"--window-size={width + 40},2000", "--dump-dom", probe.as_uri()]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    found = re.search(r"<pre>(.*?)</pre>", ended.stdout, re.DOTALL)
    assert found is not None and found[1], ended.stderr
    return json.loads(unescape(found[1])), [line for line in ended.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
@pytest.mark.parametrize("width", [420, 1300])
def test_a_browser_draws_every_page(
    built: tuple[Path, subprocess.CompletedProcess[str]], report: Path, tmp_path: Path, width: int
) -> None:
    pages = {str(page.relative_to(built[0])): page for page in built[0].rglob("*.html")} | {"report": report}
    seen, complaints = browse(pages, width, tmp_path)
    assert len(seen) == len(pages) > 20
    assert not complaints
    assert not {each["page"]: each["broken"] for each in seen if each["broken"]}
    assert not {each["page"]: each["fetched"] for each in seen if each["fetched"]}, "a page needs the network"
    assert not [each["page"] for each in seen if each["flat"] or each["text"] < 20]
    assert not {each["page"]: each["over"] for each in seen if each["over"] > 0}
    by_name = {each["page"]: each for each in seen}
    assert by_name["report"]["drawn"] >= 4, "a dynamics run has plots of energies, drift, temperature, geometry"
    assert by_name["index.html"]["images"] and by_name["first_case.html"]["images"]
    readmes = [path.read_text(encoding="utf-8") for path in (ROOT / "cases").glob("*/README.md")]
    assert by_name["cases.html"]["images"] == sum(text.count("![") for text in readmes) > 0


# ---- what they name is there ----


def slugs(path: Path) -> set[str]:
    """Return the anchors of a text's headings."""
    heads = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    lost = []
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", text):
        name, _, anchor = target.partition("#")
        place = (path.parent / name) if name else path
        if not place.exists() or (anchor and place.suffix == ".md" and anchor not in slugs(place)):
            lost.append(target)
    assert not lost


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_and_name_of_the_code_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    paths = re.findall(r"`((?:adapters|bridges|cases|containers|docs|tests)/[\w./-]*)`", text)
    lost = [each for each in paths if not (ROOT / each).exists() and "/results" not in each]
    assert not lost
    for name in re.findall(r"[`} ](scalespan\.(?:adapters|bridges)[\w.]*\w)", text):
        assert exists(name), name


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    module, _, last = name.rpartition(".")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return exists(module) and hasattr(importlib.import_module(module), last)
    return True


def typed(block: str) -> Iterator[list[str]]:
    """Yield the words of each command in a console block, without comments, containers/enter and `mpirun -n 2`."""
    lines = [line for line in block.splitlines() if line.strip()]
    prompted = any(line.startswith("$ ") for line in lines)
    for line in lines:
        if not prompted or line.startswith("$ "):
            words = shlex.split(line.removeprefix("$ "), comments=True)
            yield words[{"containers/enter": 1, "mpirun": 3}.get(words[0], 0) :]


@pytest.mark.parametrize("block", cases("console"))
def test_every_command_can_be_typed(block: str, project: dict[str, Any]) -> None:
    extras = project["project"]["optional-dependencies"]
    for program, *words in typed(block):
        if program == "scalespan":
            group = get_command(app)
            with group.make_context("scalespan", words, resilient_parsing=True) as context:
                name, command, rest = group.resolve_command(context, words)
                assert command is not None
                command.make_context(name, rest, parent=context)
        elif program == "pip":
            (named,) = re.findall(r"\.\[([\w,]+)\]", " ".join(words))
            assert set(named.split(",")) <= set(extras)
        elif program != "export":
            assert program == "pytest"
            assert not [each for each in words if each.startswith("tests/") and not (ROOT / each).exists()]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_in_a_sentence_exists(path: Path) -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]  # typer's is a group
    named = re.findall(r"`(?:containers/enter )?scalespan ([a-z][\w-]*)", path.read_text(encoding="utf-8"))
    assert set(named) <= set(commands)


@pytest.mark.parametrize("block", cases("toml"))
def test_every_case_in_the_docs_has_known_keys(block: str) -> None:
    table = tomllib.loads(block)
    if "use" in table.get("model", {}):
        check_keys(table["model"])


def check_keys(table: Mapping[str, Any]) -> None:
    """Assert that an adapter's table, and those of its parts, hold keys that it knows."""
    name = table["use"]
    try:
        kind = (BRIDGES if name in BRIDGES.names() else ADAPTERS).find(name)
    except EngineMissing as error:
        pytest.skip(str(error))
    parts = getattr(kind, "parts", ())
    assert set(table) <= {"use", *parts, *kind.Options.model_fields}
    for part in parts:
        if part in table:
            check_keys(table[part])


@pytest.mark.parametrize("block", cases("python"))
def test_every_import_in_the_docs_works(block: str) -> None:
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("scalespan"):
            assert all(exists(f"{node.module}.{alias.name}") for alias in node.names)

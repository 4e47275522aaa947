"""The report: one page that says what was found, opens anywhere and asks nobody for anything."""

from __future__ import annotations

import html
import json
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from scalespan.adapters.interface import CaseError
from scalespan.bridges.run import report, tasks
from scalespan.bridges.run.case import read
from scalespan.bridges.run.picture import picture
from scalespan.bridges.run.progress import Progress

from .three_atoms import MODEL

REPORTED = (
    MODEL.replace("Three atoms", "Bent molecule <C–O–C> & friends")
    + """
[output.measure]
side = { distance = [0, 1] }
corner = { angle = [0, 1, 2] }
"""
)
TASKS = {
    "single-point": "",
    "minimise": 'fmax = "0.01 eV/angstrom"',
    "dynamics": 'duration = "40 fs"\n[task.velocities]\ntemperature = "300 K"\n[task.motion]\ntimestep = "1 fs"',
    "vibrations": "",
    "scan": '[task.coordinate]\nkind = "distance"\natoms = [0, 2]\n'
    'start = "2 angstrom"\nstop = "3 angstrom"\npoints = 6',
}
PLOTS = {
    "single-point": [],
    "minimise": ["Energy", "Convergence", "Geometry: side", "Geometry: corner"],
    "dynamics": ["Energies", "Conservation of energy", "Temperature", "Geometry: side", "Geometry: corner"],
    "vibrations": ["Normal modes"],
    "scan": ["Energy along the coordinate", "Geometry: side", "Geometry: corner"],
}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def ran(folder: Path, kind: str, references: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "case.toml").write_text(f'{REPORTED}\n[task]\nkind = "{kind}"\n{TASKS[kind]}\n')
    (folder / "start.xyz").write_text("3\n\nC -1.2 0.02 0\nO 0 0.85 0\nC 1.1 0 0.01\n")
    if references:
        (folder / "reference.toml").write_text(references)
    case = read(folder)
    model = case.build()
    tasks.run(case, tasks.look(case, model), restart=False, progress=Progress(None))
    return report.write(folder)


class Page(HTMLParser):
    """Collects what a page asks for, and whether its tags are closed in order."""

    VOID = frozenset({"meta", "link", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.asked: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.asked += [value or "" for name, value in attributes if name in ("src", "href", "xlink:href", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.asked += [value or "" for name, value in attributes if name in ("src", "href", "xlink:href", "data")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("kind", TASKS)
def test_it_is_complete_and_asks_for_nothing(tmp_path: Path, kind: str) -> None:
    text = ran(tmp_path / "case", kind).read_text()
    page = Page(text)
    assert page.open == []
    assert all(asked.startswith(("#", "data:")) for asked in page.asked)
    assert re.findall(r'<figure class="plot"><h3>([^<]*)</h3><svg', text) == PLOTS[kind]
    assert text.count('<figure class="picture"><img') == 1
    assert "Bent molecule &lt;C–O–C&gt; &amp; friends" in text
    assert html.escape((tmp_path / "case" / "case.toml").read_text()) in text


def test_every_axis_has_a_name_and_a_unit(tmp_path: Path) -> None:
    text = ran(tmp_path / "case", "dynamics").read_text()
    for label in ("time (fs)", "energy − start (kJ/mol)", "temperature (K)", "distance (Å)", "angle (°)"):
        assert f">{label}</text>" in text


def test_checks_are_shown_with_their_verdict_and_source(tmp_path: Path) -> None:
    entry = '[energy]\nvalue = 5\ntolerance = 0.1\nunit = "kJ/mol"\nsource = "a <guess>"\n'
    text = ran(tmp_path / "case", "single-point", entry).read_text()
    assert "✗ 1 of 1 checks failed" in text
    assert '<td class="mark no">✗</td><td>energy</td>' in text
    assert "± 0.1" in text
    assert "a &lt;guess&gt;" in text


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    ran(tmp_path / "case", "dynamics")
    path = tmp_path / "case" / "results" / "summary.json"
    summary = json.loads(path.read_text())
    path.write_text(json.dumps(summary | {"status": "failed", "reason": "the SCF did not converge; try harder"}))
    text = report.write(tmp_path / "case").read_text()
    assert "the SCF did not converge; try harder" in text
    assert "✓ finished" not in text


def test_without_results_it_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="there are no results here"):
        report.write(tmp_path)


def test_the_same_results_give_the_same_page(tmp_path: Path) -> None:
    page = ran(tmp_path / "case", "scan")
    first = page.read_bytes()
    report.write(tmp_path / "case")
    assert page.read_bytes() == first


def test_a_scan_is_drawn_with_its_reference(tmp_path: Path) -> None:
    entry = '[relative_3]\nvalue = 1\ntolerance = 9\nunit = "kJ/mol"\nsource = "-"\n'
    assert ">reference</text>" in ran(tmp_path / "case", "scan", entry).read_text()
    assert ">reference</text>" not in ran(tmp_path / "other", "scan").read_text()


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
@pytest.mark.parametrize("kind", TASKS)
def test_a_browser_draws_it_without_complaint(tmp_path: Path, kind: str) -> None:
    page = ran(tmp_path / "case", kind)
    dom, said = browse(page, tmp_path / "profile", "--dump-dom")
    assert dom.count("<svg") == len(PLOTS[kind])
    assert "</footer>" in dom
    assert not [line for line in said.splitlines() if "CONSOLE" in line]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
@pytest.mark.parametrize("width", [500, 1100])
def test_it_fits_the_window(tmp_path: Path, width: int) -> None:
    page = ran(tmp_path / "case", "dynamics")
    probe = tmp_path / "probe.html"
    # The page's own policy forbids scripts, as it should: the probe holds it in a frame without that line.
    text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text())
    script = (
        "<script>onload = () => document.title = 'inner ' + document.documentElement.scrollWidth"
        " + ' of ' + document.documentElement.clientWidth + ' drawn '"
        " + [...document.querySelectorAll('svg')].filter(s => s.getBoundingClientRect().height > 150).length</script>"
    )
    probe.write_text(text.replace("</body>", f"{script}</body>"))
    dom, _ = browse(probe, tmp_path / "profile", "--dump-dom", f"--window-size={width},2000")
    found = re.search(r"<title>inner (\d+) of (\d+) drawn (\d+)</title>", dom)
    assert found is not None
    inner, window, drawn = map(int, found.groups())
    assert inner <= window
    assert drawn == len(PLOTS["dynamics"])


def browse(page: Path, profile: Path, *flags: str) -> tuple[str, str]:
    """Return the document and the messages of a headless browser without a network."""
    assert CHROMIUM is not None
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={profile}",
        *flags,
        page.as_uri(),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return ended.stdout, ended.stderr


@pytest.mark.parametrize(
    ("value", "tolerance", "text"),
    [
        (1.0699528685508872, 1e-9, "1.06995286855"),
        (-0.0010396654, 0.05, "−0.0010"),
        (0.4993207259568611, 1e-12, "0.499320725957"),
        (-3100.25, 0.1, "−3100.250"),
        (2.4e-6, 0.01, "2.4e−06"),
        (0.0, 0.01, "0"),
        (1234.56789, 0.0, "1234.568"),
        (1e30, 1e-3, "1e+30"),
        (math.nan, 0.1, "not finite"),
        (1.1682553e-7, 2e-11, "1.168255e−07"),
        (-1.0706e-7, 2e-6, "−1.1e−07"),
    ],
)
def test_a_number_shows_as_many_digits_as_count(value: float, tolerance: float, text: str) -> None:
    assert report.number(value, tolerance) == text


def test_the_picture_keeps_its_size(tmp_path: Path) -> None:
    text = ran(tmp_path / "case", "single-point").read_text()
    assert not re.search(r"figure[^{]*img[^{]*{[^}]*[ {]width: 100%", text)


class TestPicture:
    def test_it_is_a_picture_of_ink(self, tmp_path: Path) -> None:
        data, width = picture(molecule("CH3CH2OH"), [])
        pixels = pixels_of(data, tmp_path)
        assert pixels.shape[1] == pytest.approx(1.7 * width, abs=2)
        assert 0.02 < (pixels < 0.95).any(axis=2).mean() < 0.6

    def test_the_region_is_seen_in_full_colour_and_the_rest_pale(self, tmp_path: Path) -> None:
        atoms = Atoms("O2", [[0, 0, 0], [5, 0, 0]])
        pages = (pixels_of(picture(atoms, region)[0], tmp_path) for region in ([0], []))
        red = [np.isclose(page, [1.0, 13 / 255, 13 / 255], atol=1e-4) for page in pages]
        inside, both = (each.all(axis=2).sum() for each in red)
        assert inside > 0
        assert both != inside

    def test_what_is_far_from_the_region_is_left_out(self, tmp_path: Path) -> None:
        near = Atoms("O3", [[0, 0, 0], [1, 0, 0], [0, 1, 0]])
        far = near + Atoms("O", [[50, 0, 0]])
        assert picture(far, [0, 1, 2])[1] == picture(near, [0, 1, 2])[1]

    def test_a_region_across_the_boundary_is_drawn_together(self) -> None:
        whole = Atoms("O2", [[0.0, 5, 5], [1.2, 5, 5]], cell=[10, 10, 10], pbc=True)
        split = whole.copy()
        split.positions[:, 0] += 9.5
        split.wrap()
        assert picture(split, [0, 1])[1] == picture(whole, [0, 1])[1]

    @pytest.mark.parametrize("atoms", [Atoms("O"), Atoms("O2", [[0, 0, 0], [0, 0, 9]])], ids=["one", "two"])
    def test_few_atoms_are_enough(self, atoms: Atoms) -> None:
        assert picture(atoms, [])[0].startswith(b"\x89PNG")


def pixels_of(data: bytes, folder: Path) -> np.ndarray:
    from matplotlib.image import imread

    path = folder / "picture.png"
    path.write_bytes(data)
    return imread(path)[:, :, :3]


def test_the_report_of_a_trajectory_shows_its_last_frame(tmp_path: Path) -> None:
    ran(tmp_path / "case", "dynamics")
    last = ase.io.read(tmp_path / "case" / "results" / "final.extxyz")
    frames = ase.io.read(tmp_path / "case" / "results" / "trajectory.extxyz", index=":")
    np.testing.assert_allclose(last.positions, frames[-1].positions, atol=1e-8)

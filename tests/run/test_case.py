"""Reading a case directory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.units import fs

from scalespan.adapters.interface import AtomsError, CaseError, OptionError
from scalespan.bridges.run.case import find, read


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_case_is_read(springs: Path) -> None:
    case = read(springs)
    assert case.title == "springs"
    assert case.folder == springs
    assert case.results == springs / "results"
    assert case.model["use"] == "harmonic"
    assert case.task.kind == "dynamics"
    assert case.output.every == pytest.approx(1.0 * fs)
    assert {each.name: each.tolerance for each in case.references} == {"bond_mean": 0.004, "bond_max": 1e-9}


def test_the_model_and_the_atoms_are_built(springs: Path) -> None:
    case = read(springs)
    model = case.build()
    atoms = case.start_atoms(model)
    assert model.name == "harmonic"
    assert atoms.get_chemical_symbols() == ["C", "O"]
    np.testing.assert_array_equal(atoms.positions[1], [1.18, 0.0, 0.0])


def test_a_case_is_a_folder_or_its_file_from_anywhere(springs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(springs.parent)
    places = [springs, springs / "case.toml", Path("springs"), Path("springs/case.toml"), Path("springs/../springs")]
    assert {find(place) for place in places} == {springs}
    monkeypatch.chdir(springs)
    assert find(Path()) == find(Path("case.toml")) == springs


def test_paths_start_at_the_folder_of_the_case(springs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert read(Path("springs")).atoms.file == springs / "input" / "molecule.xyz"  # type: ignore[union-attr]


def test_a_case_that_is_not_there_names_the_nearest(springs: Path) -> None:
    with pytest.raises(CaseError, match=r"there is no case at .*/sprigns; did you mean 'springs'\?"):
        find(springs.parent / "sprigns")


def test_a_folder_of_cases_names_them(springs: Path) -> None:
    with pytest.raises(CaseError, match=r"holds no case\.toml; give one of its cases: springs"):
        find(springs.parent)


def test_an_empty_folder_says_how_to_make_a_case(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"holds no case\.toml; make one: scalespan new-case NAME"):
        find(tmp_path)


@pytest.mark.parametrize(("frame", "length"), [("", 1.10), ("frame = 0", 1.18), ("frame = 1", 1.10)])
def test_one_frame_of_several_is_taken(springs: Path, frame: str, length: float) -> None:
    path = springs / "input" / "molecule.xyz"
    first = path.read_text(encoding="utf-8")
    path.write_text(first + first.replace("1.18", "1.10"), encoding="utf-8")
    edit(springs / "case.toml", 'file = "input/molecule.xyz"', f'file = "input/molecule.xyz"\n{frame}')
    case = read(springs)
    assert case.start_atoms(case.build()).positions[1, 0] == length


def test_a_frame_that_is_not_there_is_refused(springs: Path) -> None:
    edit(springs / "case.toml", 'file = "input/molecule.xyz"', 'file = "input/molecule.xyz"\nframe = 3')
    case = read(springs)
    with pytest.raises(AtomsError, match=r"frame 3 of .*molecule\.xyz cannot be read"):
        case.start_atoms(case.build())


def test_a_file_that_is_no_utf8_is_refused(springs: Path) -> None:
    (springs / "case.toml").write_bytes(b'title = "\xe9"\n')
    with pytest.raises(CaseError, match=r"case\.toml is not UTF-8 text; save it as UTF-8"):
        read(springs)


def test_an_unfinished_file_is_refused(springs: Path) -> None:
    (springs / "case.toml").write_text('title = "open', encoding="utf-8")
    with pytest.raises(CaseError, match=r"case\.toml, .*: .*"):
        read(springs)


def test_a_case_without_references_has_none(springs: Path) -> None:
    (springs / "reference.toml").unlink()
    assert read(springs).references == ()


def test_a_reference_that_is_no_table_is_refused(springs: Path) -> None:
    (springs / "reference.toml").write_text("bond_mean = 1.13\n", encoding="utf-8")
    with pytest.raises(CaseError, match=r"reference\.toml: 'bond_mean' is not a table; write \[bond_mean\] with value"):
        read(springs)


def test_a_file_beside_the_case_is_an_adapter(springs: Path) -> None:
    (springs / "broken.py").write_text("import nowhere_at_all\n", encoding="utf-8")
    edit(springs / "case.toml", 'use = "harmonic"', 'use = "broken"')
    with pytest.raises(CaseError, match=r"broken\.py cannot be imported: No module named 'nowhere_at_all'"):
        read(springs).build()


def test_a_title_is_needed(springs: Path) -> None:
    edit(springs / "case.toml", 'title = "springs"', "")
    with pytest.raises(OptionError, match=r"case\.toml: the key 'title' is missing"):
        read(springs)

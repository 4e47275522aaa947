"""The report of a run: one page that needs nothing but itself."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, isfinite, log10
from pathlib import Path
from string import Template
from typing import Any

import ase.io
from ase import Atoms

from .charts import chart_svg
from .files import write_whole
from .picture import picture
from .plots import CYCLE, plots
from .record import read_summary

_UNITS = {"angstrom": "Å", "degree": "°", "1/cm": "cm⁻¹", "1": "", "angstrom^3": "Å³", "bohr": "a₀", "hartree": "Eh"}
_SMALL = 1e-4  # below it, the zeros would have to be counted
_SPENT = {"model": "model", "start": "start of the motion", "output": "writing results"}
_TASKS = {"single-point": "Single point", "minimise": "Minimisation", "coupled": "Coupled participants"}


def write(case: Path) -> Path:
    """Write ``results/report.html`` of the case in a folder, from what is in its results; return its path.

    Raises:
        CaseError: there are no results, or the page cannot be written.
    """
    results = case / "results"
    summary = read_summary(results)
    sections = [
        _checks(summary),
        _plots(results, summary),
        _review(summary),
        _picture(results, summary),
        _audit(summary),
        _values(summary),
        _times(summary),
        _versions(summary),
        _case(results),
    ]
    page = Template(Path(__file__).with_name("report.html").read_text(encoding="utf-8")).substitute(
        title=escape(str(summary["case"])),
        kind=escape(_TASKS.get(summary["task"], summary["task"].capitalize())),
        badge=_badge(summary),
        facts=_facts(summary),
        sections="\n".join(section for section in sections if section),
        footer=f"Written by scalespan {escape(summary['versions'].get('scalespan', ''))}.",
    )
    path = results / "report.html"
    write_whole(path, page.encode())
    return path


def _badge(summary: Mapping[str, Any]) -> str:
    checks, status = summary["checks"], summary["status"]
    failed = sum(not check["passed"] for check in checks)
    if status != "finished":
        reason = f'<p class="reason">{escape(str(summary.get("reason", "The run has not come to its end.")))}</p>'
        return f'<span class="badge bad">{escape(status)}</span>{reason}'
    if failed:
        return f'<span class="badge bad">✗ {failed} of {len(checks)} checks failed</span>'
    text = f"✓ finished, {len(checks)} of {len(checks)} checks passed" if checks else "✓ finished"
    return f'<span class="badge good">{text}</span>'


def _facts(summary: Mapping[str, Any]) -> str:
    region = len(summary.get("region", []))
    facts = {"wall time": duration(summary["wall_s"])}
    if "atoms" in summary:
        facts = {"atoms": str(summary["atoms"]), **facts}
    if "participants" in summary:
        facts |= {"participants": str(len(summary["participants"])), "coupling": summary["coupling"]}
    if region:
        facts["in the region"] = str(region)
    if summary.get("restarts"):
        facts["restarts"] = str(summary["restarts"])
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in facts.items())
    return f'<dl class="facts">{rows}</dl>'


def _checks(summary: Mapping[str, Any]) -> str:
    if not summary["checks"]:
        return ""
    rows = []
    for check in summary["checks"]:
        mark = '<td class="mark yes">✓</td>' if check["passed"] else '<td class="mark no">✗</td>'
        numbers = (number(check[key], check["tolerance"]) for key in ("value", "reference"))
        cells = "".join(f'<td class="number">{each}</td>' for each in (*numbers, f"± {check['tolerance']:.2g}"))
        rows.append(
            f"<tr>{mark}<td>{escape(words(check['name']))}</td>{cells}"
            f'<td>{escape(unit(check["unit"]))}</td><td class="source">{escape(check["source"])}</td></tr>'
        )
    head = "<th></th><th>check</th>" + "".join(
        f'<th class="number">{name}</th>' for name in ("value", "reference", "tolerance")
    )
    return f"<section><h2>Checks</h2>{_table(head + '<th>unit</th><th>source</th>', rows)}</section>"


def _plots(results: Path, summary: Mapping[str, Any]) -> str:
    figures = [
        f'<figure class="plot"><h3>{escape(plot.title)}</h3>{plot.svg()}'
        f"<figcaption>{escape(plot.caption)}</figcaption></figure>"
        for plot in plots(results, summary)
    ]
    return f'<section><h2>Results</h2><div class="figures">{"".join(figures)}</div></section>' if figures else ""


def _picture(results: Path, summary: Mapping[str, Any]) -> str:
    path = next((p for p in (results / "final.extxyz", results / "structure.extxyz") if p.exists()), None)
    if path is None:
        return ""
    atoms, region = ase.io.read(path, index=-1), summary.get("region", [])
    assert isinstance(atoms, Atoms), "one index gives one frame"
    image, width = picture(atoms, region)
    png = base64.b64encode(image).decode()
    when = "at the end" if path.name == "final.extxyz" else "at the start"
    caption = f"The region in full colour, and what is around it, {when}." if region else f"The atoms {when}."
    img = f'<img width="{width}" alt="{escape(caption)}" src="data:image/png;base64,{png}">'
    figure = f'<figure class="picture">{img}<figcaption>{caption}</figcaption></figure>'
    return f"<section><h2>Structure</h2>{figure}</section>"


def _audit(summary: Mapping[str, Any]) -> str:
    return _tables("Audit", summary.get("audit", []))


def _review(summary: Mapping[str, Any]) -> str:
    return _tables("Trust" if "atoms" in summary else "Findings", summary.get("review", []))


def _tables(heading: str, tables: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for table in tables:
        head = "".join(f"<th>{escape(column)}</th>" for column in table["columns"])
        rows = ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table["rows"]]
        note = f'<p class="note">{escape(table["note"])}</p>' if table["note"] else ""
        figure = f'<figure class="plot">{chart_svg(table)}</figure>' if table.get("chart") else ""
        parts.append(f"<h3>{escape(table['title'])}</h3>{_table(head, rows)}{note}{figure}")
    return f"<section><h2>{heading}</h2>{''.join(parts)}</section>" if parts else ""


def _values(summary: Mapping[str, Any]) -> str:
    rows = [
        f'<tr><td>{escape(words(name))}</td><td class="number">{number(each["value"], 0)}</td>'
        f"<td>{escape(unit(each['unit']))}</td></tr>"
        for name, each in summary.get("values", {}).items()
    ]
    head = '<th>value</th><th class="number">number</th><th>unit</th>'
    return (
        f"<details{' open' if len(rows) <= 12 else ''}><summary>All values</summary>{_table(head, rows)}</details>"
        if rows
        else ""
    )


def _times(summary: Mapping[str, Any]) -> str:
    times: dict[str, float] = dict(summary.get("times_s", {}))
    total = times.pop("total", 0.0)
    shares = {_SPENT.get(name, name): seconds for name, seconds in times.items()}
    shares["everything else"] = max(0.0, total - sum(shares.values()))
    if not total:
        return ""
    bar, rows = "", []
    for (name, seconds), colour in zip(shares.items(), (*CYCLE[: len(shares) - 1], "#b8c0c8"), strict=True):
        part = 100.0 * seconds / total
        bar += f'<span style="width:{part:.2f}%;background:{colour}"></span>'
        key = f'<span class="key" style="background:{colour}"></span>'
        rows.append(
            f'<tr><td>{key}{escape(name)}</td><td class="number">{duration(seconds)}</td>'
            f'<td class="number">{part:.1f} %</td></tr>'
        )
    head = '<th>spent on</th><th class="number">time</th><th class="number">share</th>'
    return f'<section><h2>Time</h2><div class="share">{bar}</div>{_table(head, rows, "narrow")}</section>'


def _versions(summary: Mapping[str, Any]) -> str:
    rows = [f"<tr><td>{escape(name)}</td><td>{escape(text)}</td></tr>" for name, text in summary["versions"].items()]
    return f"<section><h2>Versions</h2>{_table('<th>program</th><th>version</th>', rows, 'narrow')}</section>"


def _case(results: Path) -> str:
    path = results / "case.toml"
    text = escape(path.read_text(encoding="utf-8")) if path.exists() else ""
    return f"<details open><summary>The case</summary><pre>{text}</pre></details>" if text else ""


def _table(head: str, rows: Sequence[str], kind: str = "wide") -> str:
    body = "".join(rows)
    return f'<div class="scroll {kind}"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def number(value: float, tolerance: float) -> str:
    """Return a number with a digit or two more than its tolerance has; seven digits without one."""
    if not isfinite(value):
        return "not finite"
    if value == 0.0:
        text = "0"
    elif tolerance == 0.0:
        text = f"{value:.7g}"
    elif abs(value) < 0.01 * tolerance:
        text = f"{value:.2g}"
    elif abs(value) > 1e9:
        text = f"{value:.7g}"
    elif abs(value) < _SMALL:
        text = f"{value:.{max(0, ceil(-log10(tolerance)) + 2 + floor(log10(abs(value))))}e}"
    else:
        text = f"{value:.{min(12, max(0, ceil(-log10(tolerance)) + 2))}f}"
    return text.replace("-", "−")


def unit(name: str) -> str:
    """Return a unit as people write it."""
    return _UNITS.get(name, name.replace("angstrom", "Å").replace("^2", "²").replace("**2", "²"))


def words(name: str) -> str:
    """Return the name of a value as words."""
    return name.replace("_", " ")


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 60.0:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"

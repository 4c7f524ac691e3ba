# SPDX-License-Identifier: MIT
"""A comparison as a table: CSV, Markdown, one HTML page, and the plot of cost against gap."""

from __future__ import annotations

import csv
import html
import io
import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from fedlethe import files
from fedlethe.audit import Finding
from fedlethe.pages.page import Page, PageTable, Picture, Section, render
from fedlethe.plots import style
from fedlethe.plots.cost_against_gap import CostPoint, cost_against_gap
from fedlethe.studies.compare import UNTOUCHED, Comparison, Row
from fedlethe.text import for_cell, shown

HEADER = (
    "method",
    "accuracy",
    "gap (points)",
    "AUC",
    "attack success",
    "membership AUC",
    "forget quality",
    "relearn",
    "cost (x fewer)",
    "takes part",
    "history",
    "seconds",
    "verdict",
)
"""The columns; each figure is a mean over the seeds, the brackets reach from the least to the most."""

EXPLAINED = (
    "Each figure is the mean over the seeds, in brackets the least and the most. 'gap' is the accuracy less the "
    "retrainings' mean (the AUC where a retraining is no more accurate than the commonest class). 'cost' is how many "
    "times fewer training examples than retraining it takes. 'takes part' says whether the forgotten client has to. "
    "'history' is what has to be kept for it.",
    "A verdict is the worst that an audit with power finds: 'gone' where every seed lies inside the range of "
    "retrainings that never saw the client, 'still there' where one does not. An audit has power where the untouched "
    "model lies outside that range; without any, nothing can be shown. 'not useful' is below the retrainings' "
    "accuracy, or no better than always answering the commonest class.",
)


def cells(row: Row) -> tuple[str, ...]:
    """A row's texts, one for each of HEADER."""
    if row.problem is not None:
        return (row.name, *["-"] * (len(HEADER) - 2), f"did not run: {row.problem}")
    utility = row.finding("utility")
    assert utility.measured is not None
    measured = utility.measured
    gap = 100 * (statistics.fmean(measured.candidates) - statistics.fmean(measured.references))
    untouched = row.name == UNTOUCHED
    return (
        row.name,
        _spread(utility) if measured.figure is None else f"{measured.details['accuracy']:.3f}",
        f"{gap:+.1f}",
        _spread(utility) if measured.figure is not None else f"{measured.details.get('auc', math.nan):.3f}",
        *(_spread(row.finding(name)) for name in ("backdoor", "membership", "forget_quality", "relearn")),
        "-" if untouched else "free" if row.share == 0 else f"{1 / row.share:.1f}",
        "-" if untouched else "yes" if row.forgotten_takes_part else "no",
        "-" if untouched else size(row.bytes_kept),
        "-" if untouched else f"{statistics.fmean(cost.seconds for cost in row.cost):.1f}",
        row.verdict,
    )


def size(count: int) -> str:
    """Bytes as people write them."""
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= step:
            return f"{count / step:.1f} {unit}"
    return f"{count} B"


def markdown(comparison: Comparison) -> str:
    """The table in Markdown."""
    lines = [HEADER, ("---",) * len(HEADER), *(cells(row) for row in comparison.rows)]
    return "\n".join(f"| {' | '.join(map(_in_markdown, line))} |" for line in lines) + "\n"


def _in_markdown(cell: str) -> str:
    # Names are other people's: in Markdown HTML is markup, and a bar would end the cell.
    text = html.escape(shown(cell), quote=False).replace("\\", "\\\\")
    return text.replace("|", "\\|")


def write_comparison(comparison: Comparison) -> Path:
    """Write table.csv, findings.csv, table.md, the plot and index.html into the comparison's folder.

    Returns:
        The page.
    """
    out = comparison.out
    files.write_text(out / "table.csv", _csv([HEADER, *(cells(row) for row in comparison.rows)]))
    files.write_text(out / "findings.csv", _csv([VERDICTS, *_findings(comparison)]))
    files.write_text(out / "table.md", markdown(comparison))
    # The plot is written beside the page and held in it: the page can be sent by itself.
    plot = cost_against_gap(_points(comparison), _around(comparison), _figure(comparison))
    picture = Picture.of(plot, style.save(plot, out), f"{plot.name}.csv")
    forgotten = ", ".join(comparison.forget)
    page = Page(
        title=f"fedlethe: {forgotten} taken out of {comparison.source}",
        lead=f"Every method on the same {len(comparison.seeds)} trained federations, audited against "
        f"{comparison.references} retrainings without {forgotten}.",
        facts={
            "Data": comparison.source,
            "Forgotten": forgotten,
            "Seeds": ", ".join(map(str, comparison.seeds)),
            "Retrainings": str(comparison.references),
        },
        sections=[
            Section(
                "The comparison",
                EXPLAINED,
                [PageTable("all methods", HEADER, [cells(row) for row in comparison.rows])],
                [picture],
            ),
            *_statements(comparison),
            *_reversion(comparison),
        ],
    )
    files.write_text(out / "index.html", render(page))
    return out / "index.html"


VERDICTS = ("method", "stage", "audit", "verdict", "inside", "limit", "model", "index", "value")


def _findings(comparison: Comparison) -> list[tuple[str, ...]]:
    """Every figure of every model, one a line."""
    lines: list[tuple[str, ...]] = []
    for row in comparison.rows:
        for stage, findings in row.stages.items():
            for finding in findings:
                limit = "" if finding.limit is None else repr(finding.limit)
                head = (row.name, stage, finding.audit, finding.verdict, str(finding.inside), limit)
                if finding.measured is None:
                    lines.append((*head, "", "", ""))
                    continue
                for model in ("candidates", "untouched", "references"):
                    values: Sequence[float] = getattr(finding.measured, model)
                    lines += [(*head, model, str(index), repr(value)) for index, value in enumerate(values)]
                lines += [(*head, name, "", repr(value)) for name, value in finding.measured.details.items()]
    return lines


def _points(comparison: Comparison) -> list[CostPoint]:
    points = []
    for row in comparison.rows:
        if row.problem is None:
            measured = row.finding("utility").measured
            assert measured is not None
            mean = statistics.fmean(measured.references)
            # Less the retrainings' mean: what retraining itself costs is not the method's fault.
            gaps = [100 * (value - mean) for value in measured.candidates]
            points.append(CostPoint(row.name, row.share, gaps, row.verdict))
    return points


def _figure(comparison: Comparison) -> str:
    """What the gap is of."""
    measured = comparison.rows[0].finding("utility").measured
    return "accuracy" if measured is None or measured.figure is None else "AUC"


def _around(comparison: Comparison) -> list[float]:
    """The retrainings' accuracies (or AUC) less their mean, in points."""
    measured = comparison.rows[0].finding("utility").measured
    assert measured is not None
    mean = statistics.fmean(measured.references)
    return [100 * (value - mean) for value in measured.references]


def _statements(comparison: Comparison) -> list[Section]:
    header = ("method", "audit", "verdict", "seeds inside", "why")
    lines = [
        (row.name, finding.audit, finding.verdict, f"{finding.inside} of {len(comparison.seeds)}", finding.statement)
        for row in comparison.rows
        for finding in row.findings
    ]
    certain = [f"{row.name}: {row.guarantee}." for row in comparison.rows if row.guarantee is not None]
    return [Section("What each audit found", certain, [PageTable("findings", header, lines)])]


def _reversion(comparison: Comparison) -> list[Section]:
    """What the audits find after each repair round, where there is more than one stage."""
    header = ("method", "stage", _figure(comparison), "attack success", "membership AUC")
    lines = [
        (row.name, stage, *(_spread(_of(findings, name)) for name in ("utility", "backdoor", "membership")))
        for row in comparison.rows
        if len(row.stages) > 1
        for stage, findings in row.stages.items()
    ]
    if not lines:
        return []
    text = "Repair rounds can bring back what was taken out: here the audits are made again after each of them."
    return [Section("Reversion", text, [PageTable("by stage", header, lines)])]


def _of(findings: Sequence[Finding], name: str) -> Finding:
    return next(finding for finding in findings if finding.audit == name)


def _spread(finding: Finding) -> str:
    if finding.measured is None:
        return "-"
    values = finding.measured.candidates
    return f"{statistics.fmean(values):.3f} [{min(values):.3f}, {max(values):.3f}]"


def _csv(lines: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    # A spreadsheet would take a name that begins with '=' for a formula: `for_cell` sees to it.
    csv.writer(text, lineterminator="\n").writerows([for_cell(cell) for cell in line] for line in lines)
    return text.getvalue()

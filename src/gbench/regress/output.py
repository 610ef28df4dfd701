"""The report as JUnit XML and as Markdown."""

import xml.etree.ElementTree as ET
from itertools import groupby

from gbench.regress.run import Report

HEADER = ("check", "what", "reference", "now", "limit", "")
RECORD = "If the change is meant, `gbench regress record {suite}` stores the new state; commit it with the change."


def junit(report: Report) -> str:
    """JUnit XML: a suite of one case per check."""
    suite = ET.Element(
        "testsuite",
        name=f"gbench regress {report.suite}",
        tests=str(len(report.checks)),
        failures=str(len(report.failed)),
        errors="0",
        time=f"{report.seconds:.1f}",
    )
    for check in report.checks:
        case = ET.SubElement(suite, "testcase", classname=f"regress.{check.kind}", name=check.name)
        if not check.ok:
            failure = ET.SubElement(case, "failure", message=check.why, type="regression")
            failure.text = f"reference {check.expected}\nnow {check.found}\nlimit {check.limit}"
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def markdown(report: Report) -> str:
    """A comment for a pull request: the verdict, what failed, then all checks folded away."""
    lines = [f"### {headline(report)}", ""]
    lines += [f"- **{check.kind} / {_cell(check.name)}**: {_cell(check.why)}" for check in report.failed]
    if report.failed:
        lines += ["", RECORD.format(suite=report.suite), ""]
    lines += ["<details><summary>All checks</summary>", "", _row(HEADER), _row(("---",) * len(HEADER))]
    for check in report.checks:
        result = "ok" if check.ok else "**regression**"
        lines.append(_row((check.kind, check.name, check.expected, check.found, check.limit, result)))
    return "\n".join([*lines, "", "</details>", "", where(report), ""])


def headline(report: Report) -> str:
    """The verdict in a line."""
    total = f"{len(report.checks)} check{'' if len(report.checks) == 1 else 's'}"
    if report.ok:
        return f"No regression: {total} in {report.seconds:.0f} s"
    kinds = [kind for kind, _ in groupby(sorted(check.kind for check in report.failed))]
    count = f"{len(report.failed)} of {total}"
    return f"Regression: {count} failed ({', '.join(kinds)}) in {report.seconds:.0f} s"


def where(report: Report) -> str:
    """Commits and versions of both sides."""
    now, then = report.environment, report.reference
    commits = [(one.git_commit or "?")[:8] for one in (now, then)]
    torch = [one.libraries.get("torch", "?") for one in (now, then)]
    return f"commit {commits[0]} (torch {torch[0]}) against the reference of {commits[1]} (torch {torch[1]})"


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")

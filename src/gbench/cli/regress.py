"""``gbench regress``: whether gbench still learns as well and runs as fast as it did."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gbench.cli.console import console, errors, print_json, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gbench.regress.run import Report

app = typer.Typer(help="Regressions: errors, graphs and speed against a stored reference.", no_args_is_help=True)
SuiteFile = Annotated[Path, typer.Argument(help="Its YAML file: benchmarks/regression.yaml.")]


@app.command("run")
def run_regress(
    suite: SuiteFile,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML here.")] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Write a pull-request comment here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON and nothing else.")] = False,
) -> None:
    """Check a suite against its reference. Exit code 1 if anything became worse."""
    from gbench.regress import output
    from gbench.regress.run import run_suite

    with _saying(quiet=as_json) as say:
        report = run_suite(suite, say)
    for path, text in ((junit, output.junit), (markdown, output.markdown)):
        if path is not None:
            _write(path, text(report))
    if as_json:
        print_json({"ok": report.ok, **report.model_dump(mode="json")})
    else:
        _show(report)
    if not report.ok:
        raise typer.Exit(1)


@app.command("record")
def record(suite: SuiteFile) -> None:
    """Run a suite and store what it leaves as its reference, to be committed."""
    from gbench.regress.run import record_suite

    with _saying() as say:
        folder = record_suite(suite, say)
    console.print(f"reference  {folder}", soft_wrap=True)
    console.print(f"check      gbench regress run {suite}", soft_wrap=True)


@contextmanager
def _saying(*, quiet: bool = False) -> "Iterator[Callable[[str], None]]":
    """What is being done: a spinner on a terminal, plain lines on stderr elsewhere."""
    if quiet:
        yield lambda _: None
    elif not console.is_terminal:
        yield lambda text: errors.print(text, soft_wrap=True)
    else:
        with console.status("") as status:
            yield status.update


def _write(path: Path, text: str) -> None:
    from gbench.storage import atomic_path

    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _show(report: "Report") -> None:
    from gbench.regress import output

    shown = table(*output.HEADER)
    for check in report.checks:
        style = "" if check.ok else "bold"
        shown.add_row(check.kind, check.name, check.expected, check.found, check.limit, check.result, style=style)
    console.print(shown)
    console.print()
    for check in report.failed:
        console.print(f"{check.kind} / {check.name}: {check.why}", soft_wrap=True)
    console.print(output.headline(report), style="bold", soft_wrap=True)
    if report.failed:
        console.print(output.RECORD.format(suite=report.suite), soft_wrap=True)
    console.print(output.where(report), style="dim", soft_wrap=True)

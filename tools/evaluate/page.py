"""The measured part of the models' page, put together from what the other commands saved.

Knows:  the names of their CSV files, which columns a reader needs.
Never:  a number that is not in one of those files; a word outside the two marks on the page.
Leaves: Markdown between the marks.
Clauses: 1 (how well it does is public).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.evaluate import table

BEGIN, END = "<!-- figures, written by tools.evaluate page -->", "<!-- end of figures -->"
Rows = list[dict[str, table.Cell]]


@dataclass(frozen=True, slots=True)
class Part:
    """One table of the page: files by pattern, what it is, its columns, which rows."""

    files: str
    title: str
    columns: tuple[str, ...]
    wanted: Callable[[table.Row], bool] = lambda _row: True


PARTS = (
    Part(
        "anchors.csv",
        "On what training held out, beside other files (same pictures, same run)",
        ("set", "model", "pictures", "persons", "AP50", "recall", "precision", "count MAE", "count bias",
         "presence AUC", "calibration error", "AP 15-39", "AP 40-79", "AP 80-149", "AP 150-360"),
    ),
    Part(
        "differences.csv",
        "Ours less each other: AP50 and count MAE, with the ends of the middle 90 % of redrawn pictures",
        ("set", "ours", "less", "AP50", "AP50 5 %", "AP50 95 %", "count MAE", "count MAE 5 %", "count MAE 95 %"),
    ),
    Part("speed.csv", "One bare call of LiteRT on one thread, all in turn in one run", ()),
    Part("robust.csv", "One drawn crowd under other conditions", ()),
    Part(
        "counting-*.csv",
        "Mean occupancy of minutes on drawn streets of 1 to 60 people a minute",
        ("model", "condition", "people/min", "minutes", "mean there", "MAE", "MAE 5 %", "MAE 95 %", "bias", "bias 5 %",
         "bias 95 %", "MAE with constant", "bias with constant", "MAE as found", "bias as found",
         "peak MAE", "agreement", "published wrongly",
         "suppressed wrongly"),
        lambda row: row["people/min"] == "all",
    ),
    Part("minutes.csv", "Minutes of a rendered video", ()),
    Part("empty-*.csv", "Streets with nobody, full of what looks like somebody", ()),
    Part("gaps-*.csv", "For whom it is worse: the widest gaps of recall at equal heights, drawn persons", ()),
    Part("groups-*.csv", "Recall by group, drawn persons", (), lambda row: row["group"] in ("sex", "age", "skin")),
    Part("attributes.csv", "Attributes: how often they are answered and how right", ()),
    Part(
        "attribute-gaps.csv",
        "Attributes by group (only where anything was answered)",
        (),
        lambda row: float(row["coverage"]) > 0,
    ),
)  # fmt: skip


def cell(text: str) -> table.Cell:
    """Return what stands in a CSV cell as a number where it is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def read(files: Sequence[Path]) -> Rows:
    """Return the rows of several files of one form; the file's last word tells the model where no column does."""
    out: Rows = []
    for file in files:
        with file.open(newline="") as opened:
            rows = [{key: cell(value) for key, value in row.items()} for row in csv.DictReader(opened)]
        named = "-" in file.stem and rows and not {"model", "attribute"} & set(rows[0])
        out += [{"model": file.stem.partition("-")[2], **row} for row in rows] if named else rows
    return out


def text(folder: Path) -> str:
    """Return the measured part, from the CSV files of ``folder``; what was not measured is not mentioned."""
    parts = []
    for part in PARTS:
        rows = [row for row in read(sorted(folder.glob(part.files))) if part.wanted(row)]
        if rows:
            columns = part.columns or tuple(table.columns_of(rows))
            chosen = [{name: row[name] for name in columns if name in row} for row in rows]
            parts.append(f"### {part.title}\n\n{table.markdown(chosen)}")
    return "\n\n".join(parts)


def write(page: Path, folder: Path) -> None:
    """Replace what stands between the marks of ``page``. Raises ValueError where there are not exactly these two."""
    whole = page.read_text()
    if whole.count(BEGIN) != 1 or whole.count(END) != 1 or whole.index(BEGIN) > whole.index(END):
        message = f"{page} needs one line {BEGIN!r} and after it one line {END!r}"
        raise ValueError(message)
    before, after = whole.split(BEGIN)[0], whole.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n\n{text(folder)}\n\n{END}{after}")

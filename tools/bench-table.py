#!/usr/bin/env python3
# Makes a table of the lines of JSON that a bench printed, shows it, and puts it into docs/benchmarks.md.
#
#     bench-table.py NAME ROWS.json docs/benchmarks.md
#
# SPDX-License-Identifier: LGPL-2.1-or-later
import json
import os
import platform
import re
import sys

COLUMNS = ["where", "case", "size", "ours", "reference", "ratio"]


def cpu_model():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def host():
    memory = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    return f"{cpu_model()}, {os.cpu_count()} CPUs, {memory / 1048576:.0f} GiB"


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def cells(row):
    unit = row.get("unit", "")
    return {
        "where": row["where"],
        "case": row["case"],
        "size": str(row["size"]),
        "ours": f"{number(row['ours'])} {unit}".strip(),
        "reference": f"{number(row['reference'])} {unit}".strip(),
        "ratio": "–" if row["ratio"] is None else f"{row['ratio']:.2f}",
    }


def markdown(rows):
    lines = []
    for name in dict.fromkeys(row["reference_name"] for row in rows):
        lines += ["", f"Reference: {name}.", "", "| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
        for row in rows:
            if row["reference_name"] == name:
                lines.append("| " + " | ".join(cells(row)[column] for column in COLUMNS) + " |")
    return "\n".join(lines).strip() + "\n"


def plain(rows):
    table = [dict(zip(COLUMNS, map(str.upper, COLUMNS)))] + [cells(row) for row in rows]
    widths = {column: max(len(row[column]) for row in table) for column in COLUMNS}
    text = ""
    for row in table:
        text += "  ".join(row[column].ljust(widths[column]) for column in COLUMNS).rstrip() + "\n"
    return text + f"reference: {', '.join(dict.fromkeys(row['reference_name'] for row in rows))}\n"


def put(path, name, text):
    begin, end = f"<!-- table {name} -->", f"<!-- end {name} -->"
    with open(path) as file:
        document = file.read()
    section = f"{begin}\n{text}{end}"
    if begin in document:
        document = re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda match: section, document, flags=re.DOTALL)
    else:
        document = document.rstrip("\n") + f"\n\n## {name}\n\n{section}\n"
    with open(path, "w") as file:
        file.write(document)


def main():
    name, rows_path, document_path = sys.argv[1:]
    with open(rows_path) as file:
        rows = [json.loads(line) for line in file if line.strip()]
    if not rows:
        print(f"{name}: no rows, nothing to show", file=sys.stderr)
        return
    print(f"{name}, on {host()}")
    print(plain(rows))
    put(document_path, name, f"Measured on {host()}.\n\n" + markdown(rows))


main()

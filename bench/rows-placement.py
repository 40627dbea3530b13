#!/usr/bin/env python3
# Lines of JSON for the table, made of what bench-placement printed: medians over the seeds, ours beside each of the others.
#
#     rows-placement.py DIRECTORY      runs-SIZE.json, recorded.json, decisions.json and contest.json in it
#
# SPDX-License-Identifier: LGPL-2.1-or-later
import json
import pathlib
import statistics
import sys

PEERS = {
    "least": "least memory.current",
    "round-robin": "round robin",
    "static": "a fixed slice by name, as systemd's",
    "requests": "sums of requests, as Kubernetes'",
    "affinity-no-claims": "ours without claims",
}
# (label, key, divided by, unit)
OVER = ("times over a limit", "over_events", 1, "")
OVER_BYTES = ("over limits", "over_mib_s", 1024, "GiB·s")
REFUSED = ("refused", "refused", 1, "")
STRAYED = ("misattributed", "strayed_mib_s", 1024, "GiB·s")
USED = ("used in all", "used_mib_s", 1024, "GiB·s")
IMBALANCE = ("imbalance", "imbalance", 1, "")
MEASURES = [
    ("affinity", "affinity", [OVER, OVER_BYTES, REFUSED, STRAYED, USED]),
    ("affinity-hold", "affinity, claims held 3 minutes", [OVER_BYTES, REFUSED, STRAYED, USED]),
    ("spread", "spread", [IMBALANCE]),
]


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def row(case, size, ours, reference, name, unit):
    ratio = ours / reference if reference else None
    print(json.dumps({"bench": "placement", "case": case, "size": size, "ours": ours, "reference": reference,
                      "reference_name": name, "ratio": ratio, "unit": unit}, ensure_ascii=False))


def median(runs, planner, key):
    return statistics.median(run[key] for run in runs if run["planner"] == planner)


def rows_of_runs(path):
    runs = read(path)
    size = f"{path.stem.split('-')[1]} groups"
    for peer, name in PEERS.items():
        for planner, label, measures in MEASURES:
            for measure, key, by, unit in measures:
                row(f"{label}: {measure}", size, median(runs, planner, key) / by, median(runs, peer, key) / by, name, unit)
    for planner, label in [("affinity", "affinity"), ("affinity-hold", "affinity, claims held 3 minutes")]:
        row(f"{label}: refused, though there was room for what it turned out to need", size,
            median(runs, planner, "refused_with_room"), median(runs, planner, "requests"), "all requests", "")


def rows_of_recorded(path):
    runs = read(path)
    for peer, name in PEERS.items():
        for measure, key, by, unit in [OVER, REFUSED]:
            row(f"affinity: {measure}", "a recorded build, 4 groups", median(runs, "affinity", key) / by,
                median(runs, peer, key) / by, name, unit)


def rows_of_decisions(path):
    runs = {(run["planner"], run["candidates"]): run["decision_usec"] for run in read(path)}
    sizes = sorted({candidates for _, candidates in runs})
    for n in sizes:
        row("a decision and its claim", f"{n} candidates", runs["spread", n], runs["least", n],
            "least memory.current, both without reading files", "µs")
    for n in sizes[1:]:
        row("growth of a decision, per candidate", f"{n} candidates", runs["spread", n] / n,
            runs["spread", sizes[0]] / sizes[0], f"ours with {sizes[0]} candidates", "µs")


def rows_of_contest(path):
    runs = {run["threads"]: 1e6 / run["decisions_per_second"] for run in read(path)}
    for n in sorted(runs)[1:]:
        row("a decision, several at once, 20 candidates", f"{n} threads", runs[n], runs[1], "ours by one thread", "µs")


def main():
    top = pathlib.Path(sys.argv[1])
    for path in sorted(top.glob("runs-*.json"), key=lambda path: int(path.stem.split("-")[1])):
        rows_of_runs(path)
    rows_of_recorded(top / "recorded.json")
    rows_of_decisions(top / "decisions.json")
    rows_of_contest(top / "contest.json")


main()

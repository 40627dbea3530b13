#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares what prog-systemd1 saw of chargehandd with what it saw of systemd:

    systemd1-compare.py REFERENCE SEEN DIFFERENCES [--only FIRST-WORD-OF-SCENARIO]
    systemd1-compare.py --markdown DIFFERENCES          the list for docs/runtimes.md

Step by step; what differs must be among the known differences, and each of those must occur.

DIFFERENCES: blank lines part entries.

    == title of the difference
    the reason, for docs/runtimes.md
    at: regular expression, found in "scenario > step"     (any number; none: everywhere)
    - regular expression of a line that only systemd says  (all of the line)
    + regular expression of a line that only chargehandd says

An entry that says "untested:" instead of lines is for the documentation alone.
"""

import difflib
import re
import sys
import textwrap


class Entry:
    def __init__(self, title):
        self.title = title
        self.reason = []
        self.at = []
        self.lines = []  # (sign, expression, text)
        self.untested = False
        self.used = set()

    def takes(self, place, sign, line):
        if self.at and not any(expression.search(place) for expression in self.at):
            return False
        for number, (its, expression, _) in enumerate(self.lines):
            if its == sign and expression.fullmatch(line):
                self.used.add(number)
                return True
        return False


def compiled(path, number, text):
    try:
        return re.compile(text)
    except re.error as error:
        sys.exit(f"{path}:{number}: {error}")


def read_entries(path):
    entries = []
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        line = line.rstrip("\n")
        if not line or line.startswith("#"):
            continue
        if line.startswith("== "):
            entries.append(Entry(line[3:]))
            continue
        if not entries:
            sys.exit(f"{path}:{number}: no '== title' before this line")
        if line.startswith("at: "):
            entries[-1].at.append(compiled(path, number, line[4:]))
        elif line[:2] in ("- ", "+ "):
            entries[-1].lines.append((line[0], compiled(path, number, line[2:]), line))
        elif line == "untested:":
            entries[-1].untested = True
        else:
            entries[-1].reason.append(line)
    for entry in entries:
        if not entry.reason or bool(entry.lines) == entry.untested:
            sys.exit(f"{path}: '{entry.title}' needs a reason, and lines or 'untested:'")
    return entries


def read_steps(path, only):
    """(scenario, step, how often before) → lines"""
    steps, scenario, seen, lines = {}, "", {}, None
    for line in open(path, encoding="utf-8", errors="replace"):
        line = line.rstrip("\n")
        if line.startswith("= "):
            scenario, seen = line[2:], {}
            # what is said before the first step belongs to the scenario
            key = (scenario, "", 0)
        elif line.startswith("> "):
            seen[line] = seen.get(line, 0) + 1
            key = (scenario, line[2:], seen[line])
        elif line.startswith("  "):
            lines.append(line[2:])
            continue
        else:
            sys.exit(f"{path}: what is '{line}'?")
        lines = []
        if not only or scenario.startswith(only):
            steps[key] = lines
    return steps


def differences(reference, seen):
    """(place, sign, line) of all"""
    for key in list(reference) + [key for key in seen if key not in reference]:
        place = f"{key[0]} > {key[1]}"
        if key not in reference or key not in seen:
            yield place, "+" if key in seen else "-", "the whole step"
            continue
        for line in difflib.ndiff(reference[key], seen[key]):
            if line[0] in "-+":
                yield place, line[0], line[2:]


def print_markdown(path):
    for entry in read_entries(path):
        text = f"- **{entry.title}.** {' '.join(entry.reason)}"
        print(textwrap.fill(text, 138, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))


def main():
    arguments = sys.argv[1:]
    if len(arguments) == 2 and arguments[0] == "--markdown":
        print_markdown(arguments[1])
        return 0
    only = ""
    if "--only" in arguments:
        at = arguments.index("--only")
        only = arguments[at + 1]
        del arguments[at : at + 2]
    if len(arguments) != 3:
        sys.exit(__doc__)
    reference, seen = (read_steps(path, only) for path in arguments[:2])
    entries = read_entries(arguments[2])
    unknown, known, last = 0, 0, None
    for place, sign, line in differences(reference, seen):
        if any([entry.takes(place, sign, line) for entry in entries]):
            known += 1
            continue
        if place != last:
            print(place)
            last = place
        print(f"    {sign} {line}")
        unknown += 1
    gone = 0
    for entry in entries if not only else []:
        for number, (_, _, text) in enumerate(entry.lines):
            if number not in entry.used:
                print(f"no longer seen, in '{entry.title}': {text}")
                gone += 1
    print(f"{len(reference)} steps: {known} lines differ as listed, {unknown} otherwise, {gone} listed ones do not occur")
    return 1 if unknown or gone or not reference else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fill in a man page's source: fill.py TABLES PAGE.scd.in OUTPUT

A line "@name@" becomes what "TABLES name" prints; "@conf FILE@" the keys of a configuration file with their
comments; "@interface FILE@" the methods, signals and properties of D-Bus introspection data with theirs."""

import os
import re
import subprocess
import sys


def escape(text):
    return re.sub(r"([\\_*#~<])", r"\\\1", text)


def conf_rows(path):
    """Comments above "#Key=value" belong to the key; "[Section]" begins a section."""
    out, comment = [], []
    for line in open(path, encoding="utf-8"):
        line = line.rstrip("\n")
        section = re.match(r"#?(\[.*\])$", line)
        key = re.match(r"#([A-Za-z]+)=(.*)$", line)
        if section:
            out += ["", f"## {escape(section[1])}", ""]
            if comment and line.startswith("#"):
                out += [escape(" ".join(comment)), ""]
            comment = []
        elif key:
            out += [f"*{key[1]}*={escape(key[2])}"]
            out += ["\t" + escape(" ".join(comment)), ""] if comment else [""]
            comment = []
        elif line.startswith("# "):
            comment.append(line[2:])
        else:
            comment = []
    return out


def attribute(tag, name):
    match = re.search(rf'\b{name}="([^"]*)"', tag)
    return match[1] if match else ""


def arguments(body, direction):
    found = []
    for tag in re.findall(r"<arg [^>]*>", body):
        if (attribute(tag, "direction") or "in") == direction:
            found.append(f"{attribute(tag, 'type')} {attribute(tag, 'name')}")
    return escape(", ".join(found))


def interface_rows(path):
    """Each method, signal and property with the comment above it."""
    xml = open(path, encoding="utf-8").read()
    xml = xml[xml.index("<interface "):]
    out = []
    pattern = re.compile(r"<!--(.*?)-->\s*<(method|signal|property) ([^>]*?)(/>|>(.*?)</\2>)", re.S)
    for comment, kind, head, _, body in pattern.findall(xml):
        name, body = attribute(" " + head, "name"), body or ""
        result = arguments(body, "out")
        if kind == "property":
            title = f"*{name}* ({attribute(' ' + head, 'type')}, property)"
        elif kind == "signal":
            title = f"*{name}*({arguments(body, 'in')}), signal"
        else:
            title = f"*{name}*({arguments(body, 'in')})" + (f" → ({result})" if result else "")
        out += [title, "\t" + escape(" ".join(comment.split())), ""]
    return out


def main():
    tables, page, output = sys.argv[1:]
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    lines = []
    for line in open(page, encoding="utf-8").read().splitlines():
        command = re.match(r"@(\S+)(?: (\S+))?@$", line)
        if not command:
            lines.append(line)
        elif command[1] == "conf":
            lines += conf_rows(os.path.join(root, command[2]))
        elif command[1] == "interface":
            lines += interface_rows(os.path.join(root, command[2]))
        else:
            lines += subprocess.run([tables, command[1]], check=True, capture_output=True,
                                    text=True).stdout.splitlines()
    # scdoc takes two empty lines in a row for a mistake
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"
    with open(output, "w", encoding="utf-8") as f:
        f.write(text)


main()

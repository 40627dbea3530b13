#!/usr/bin/env python3
"""Kernel style in kmod/: tabs, 120 columns, the usual blanks, versions looked at in compat*.h only. kmod-style.py FILE…

What a compiler and sparse see is not looked for here.
SPDX-License-Identifier: LGPL-2.1-or-later
"""
import re
import sys

COLUMNS = 120
# A comment that says why is so many lines away at most.
NEAR = 4

# Where: "raw" is the line as it is, "code" the line without comments and with empty strings.
RULES = [
    ("raw", r"[ \t]$", "blanks at the end of the line"),
    ("raw", r"^ +(?![ *])", "indented with blanks: tabs, please"),
    ("raw", r" \t", "a blank before a tab"),
    ("code", r"//", "a // comment: /* */ below the first line"),
    ("code", r"\b(if|for|while|switch)\(", "no blank after if, for, while or switch"),
    ("code", r"\b(if|for|while|switch)\b.*\)\{$", "no blank before {"),
    ("code", r",[^\s\\]", "no blank after ,"),
    ("code", r"\([ \t]+\S|\S[ \t]+\)", "a blank inside of parentheses"),
    ("code", r"\b(sizeof|typeof)\s+[a-z(]", "sizeof and typeof are written as functions"),
    ("code", r"\b(sprintf|strcpy|strcat|strncpy|simple_strtou?ll?)\(", "a function that knows no bounds"),
    ("code", r"\bBUG(_ON)?\(", "BUG() takes the machine down: WARN_ON_ONCE() and a way out"),
    ("code", r"\bprintk(_once)?\(", "printk(): pr_*() has the prefix"),
    ("code", r"^\s*typedef\s+(struct|union|enum|unsigned|u?int|long|u\d+)\b", "a typedef: the kernel has structs"),
    ("code", r"\b(kmap|kmap_atomic|msleep|udelay|mdelay)\(", "waits a guess, or is of another time"),
    ("code", r"\bEXPORT_SYMBOL", "exports a symbol: nobody else is to build on this"),
]
VERSIONS = re.compile(r"\b(LINUX_VERSION_CODE|KERNEL_VERSION|CHARGEHAND_KERNEL)\b")
BARRIERS = re.compile(r"\b(smp_\w*mb|barrier|smp_store_release|smp_load_acquire|cmpxchg\w*|READ_ONCE_NOCHECK)\(")
MAY_LOOK = re.compile(r"(^|/)compat[^/]*\.h$")


class Text:
    """Takes comments and the insides of strings out of one file, line by line."""

    def __init__(self):
        self.inside = False
        self.last_comment = -NEAR

    def code(self, number, raw):
        out, i, quote = "", 0, ""
        if self.inside:
            self.last_comment = number
        while i < len(raw):
            two, one = raw[i:i + 2], raw[i]
            if self.inside:
                self.inside = two != "*/"
                i += 1 if self.inside else 2
            elif quote:
                i += 2 if one == "\\" else 1
                if one == quote:
                    quote, out = "", out + one
            elif two == "/*":
                self.inside, self.last_comment = True, number
                i += 2
            else:
                quote = one if one in "\"'" else ""
                out += one
                i += 1
        return out.rstrip()


def faults(name, lines):
    text = Text()
    for number, raw in enumerate(lines, 1):
        spdx = number == 1 and raw.startswith("// SPDX")
        code = "" if spdx else text.code(number, raw)
        for where, pattern, what in RULES:
            if re.search(pattern, raw if where == "raw" else code):
                yield number, what
        if len(raw.expandtabs(8)) > COLUMNS:
            yield number, f"longer than {COLUMNS} columns"
        if VERSIONS.search(code) and not MAY_LOOK.search(name):
            yield number, "a version is looked at outside of compat.h"
        if BARRIERS.search(code) and number - text.last_comment > NEAR:
            yield number, "a barrier or an exchange without a comment that says what it is paired with"


SAMPLE = """\
// SPDX-License-Identifier: GPL-2.0-only
/* if(this) is a comment, and so is // this */
int chargehand_good(struct x *x)
{
\tif (x && strcmp(x->name, "if(,){ // ") == 0)
\t\treturn sizeof(*x);
\t/* Pairs with nothing: a sample. */
\tsmp_mb();
\treturn 0;
}
""".splitlines()

BAD = [
    "        int x;", "\tint x; ", "\tif(x)", "\tif (x){", "\tf(a,b);", "\tf( a);", "\tx = 1; // one", "\tn = sizeof x;",
    "\tstrcpy(a, b);", "\tBUG_ON(x);", "\tprintk(x);", "typedef int y;", "\tsmp_wmb();", "#if CHARGEHAND_KERNEL == 601",
    "\tmsleep(1);", "\tx = " + "y" * 120 + ";", "EXPORT_SYMBOL_GPL(x);", " \tint y;",
]


def self_test():
    said = list(faults("kmod/good.c", SAMPLE))
    if said:
        sys.exit(f"kmod-style: complains about what is good: {said}")
    for line in BAD:
        if not list(faults("kmod/bad.c", SAMPLE + [""] * NEAR + [line])):
            sys.exit(f"kmod-style: does not see '{line}'")
    if list(faults("kmod/compat-x.h", ["#if CHARGEHAND_KERNEL == 601"])):
        sys.exit("kmod-style: compat-x.h may look at versions")


def main(names):
    if names == ["--self-test"]:
        self_test()
        return 0
    bad = 0
    for name in names:
        with open(name, encoding="utf-8") as file:
            for number, what in faults(name, file.read().splitlines()):
                print(f"{name}:{number}: {what}")
                bad += 1
    print(f"check-kmod: {len(names)} files, {bad} faults of style")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

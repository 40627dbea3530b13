#!/usr/bin/env python3
# Records a trace for bench-placement from what really runs: a command and all its descendants, sampled.
#
#     record-placement.py FILE [--groups N] COMMAND…
#
# A process is asked for when it is first seen, with what a launcher would know: a quarter more than the most that
# earlier ones of its name used, 32 MiB for the first. Its private memory is Anonymous of smaps_rollup; what it has of
# shared memory is not recorded. The groups are made up: each may have three quarters of the highest sum, all together one and a half.
# SPDX-License-Identifier: LGPL-2.1-or-later
import os
import subprocess
import sys
import time

INTERVAL = 0.03
FIRST_ASK = 32 << 20
LEAST_BYTES = 1 << 20  # smaller ones are shells and the like


def parents():
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    head, tail = file.read().rsplit(")", 1)
            except OSError:
                continue
            fields = tail.split()
            found[int(name)] = (int(fields[1]), head.split("(", 1)[1], fields[19])
    return found


def descendants(top, table):
    found, more = set(), True
    while more:
        more = {pid for pid, row in table.items() if (row[0] in found or row[0] == top) and pid not in found}
        found |= more
    return found


def anonymous(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith("Anonymous:")), 0)
    except OSError:
        return 0


class Recorder:
    def __init__(self):
        self.events, self.ids, self.last, self.most, self.peak = [], {}, {}, {}, 0

    def sample(self, usec, live):
        for key in [key for key in self.last if key not in live]:
            self.events.append(f"{usec}\texit\t{self.ids[key]}")
            del self.last[key]
        for key, (name, size) in live.items():
            if key not in self.ids:
                if size < LEAST_BYTES:
                    continue
                self.ids[key] = len(self.ids)
                ask = self.most.get(name, FIRST_ASK * 4 // 5) * 5 // 4
                self.events.append(f"{usec}\trequest\t{self.ids[key]}\t0\t0\t-\t{ask}\t0")
            if self.last.get(key) != size:
                self.events.append(f"{usec}\tgrow\t{self.ids[key]}\t{size}")
                self.last[key] = size
            self.most[name] = max(self.most.get(name, 0), size)
        self.peak = max(self.peak, sum(self.last.values()))

    def write(self, path, groups, command):
        with open(path, "w") as file:
            print("chargehand-placement 1", file=file)
            print("# recorded from:", os.path.basename(command[0]), file=file)
            print(f"0\tmkdir\t/r\t{self.peak * 3 // 2}\t-\t0", file=file)
            for i in range(groups):
                print(f"0\tmkdir\t/r/g{i}\t{self.peak * 3 // 4}\t0\t0", file=file)
            print("\n".join(self.events), file=file)


def main():
    arguments = sys.argv[1:]
    path, groups = arguments.pop(0), 4
    if arguments[0] == "--groups":
        groups = int(arguments[1])
        del arguments[:2]
    recorder, begin = Recorder(), time.monotonic()
    command = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    while command.poll() is None:
        table = parents()
        live = {(pid, table[pid][2]): (table[pid][1], anonymous(pid)) for pid in descendants(os.getpid(), table)}
        recorder.sample(int((time.monotonic() - begin) * 1e6), live)
        time.sleep(INTERVAL)
    recorder.sample(int((time.monotonic() - begin) * 1e6), {})
    recorder.write(path, groups, arguments)


main()

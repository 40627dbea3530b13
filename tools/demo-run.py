#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The main job, seen working: a Redis server under traffic moves between groups with its memory.

Runs on any machine with cgroup v2 and its memory controller, as root: in the VM by ./dev demo, here by
./dev demo --host. It makes one group below the cgroup2 mount, a bus and a daemon of its own, and removes them.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20
VALUE_BYTES = 4000      # with its header one allocation of 4 KiB
ROLLBACK_SECONDS = 6    # how long the move that is cancelled would take, by its rate limit


class Failure(Exception):
    pass


def say(text=""):
    if not Demo.quiet:
        print(text, flush=True)


def wait_for(what, condition, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise Failure(f"{what} did not happen within {seconds} s")


def read(path):
    with open(path) as file:
        return file.read()


def stat_value(text, key):
    return next(int(line.split()[1]) for line in text.splitlines() if line.split()[0] == key)


class Demo:
    quiet = False

    def __init__(self, options):
        self.options = options
        self.work = tempfile.mkdtemp(prefix="chargehand-demo-")
        self.root = os.path.join(options.mount, "chargehand-demo")
        self.processes = []
        self.address = None
        self.load = None
        self.log = os.path.join(self.work, "traffic.log")

    # what runs

    def binary(self, name):
        path = os.path.join(self.options.bin, name)
        if not os.path.exists(path):
            path = shutil.which(name)
        if not path:
            raise Failure(f"{name} is not in {self.options.bin} and not in PATH: build it with ./dev build")
        return path

    def spawn(self, argv, group=None, **more):
        def enter():
            if group is not None:
                with open(self.root + group + "/cgroup.procs", "w") as procs:
                    procs.write("0")
        process = subprocess.Popen(argv, preexec_fn=enter, **more)
        self.processes.append(process)
        return process

    def start_bus(self):
        config = os.path.join(self.work, "bus.conf")
        with open(config, "w") as file:
            file.write(f"""<busconfig><type>session</type><listen>unix:path={self.work}/bus</listen>
<auth>EXTERNAL</auth><policy context="default"><allow send_destination="*"/><allow eavesdrop="false"/>
<allow own="*"/><allow user="*"/></policy></busconfig>""")
        self.spawn([self.binary("dbus-daemon"), f"--config-file={config}", "--nofork"])
        wait_for("the bus's socket", lambda: os.path.exists(f"{self.work}/bus"), 20)
        self.address = f"unix:path={self.work}/bus"

    def start_daemon(self):
        os.makedirs(self.root, exist_ok=True)
        with open(os.path.join(self.options.mount, "cgroup.subtree_control"), "w") as control:
            control.write("+memory")
        output = open(os.path.join(self.work, "chargehandd.log"), "w")
        self.spawn([self.binary("chargehandd"), "--config", "/dev/null", "--mode", "private", "--root", self.root,
                    "--bus", self.address, "--state", self.work + "/state"], stderr=output, stdout=output)
        wait_for("the daemon's answer", lambda: self.ctl("list", check=False).returncode == 0, 30)

    def start_redis(self, name, group, thp):
        socket = os.path.join(self.work, name + ".sock")
        argv = [self.binary("redis-server"), "--port", "0", "--unixsocket", socket, "--save", "",
                "--appendonly", "no", "--enable-debug-command", "yes", "--dir", self.work,
                "--disable-thp", "no" if thp else "yes"]
        process = self.spawn(argv, group, stdout=subprocess.DEVNULL)
        wait_for(f"the start of {name}", lambda: os.path.exists(socket), 60)
        return process, socket

    def redis_load(self, verb, socket, keys, *more):
        return [self.binary("redis-load"), verb, socket, str(keys), str(VALUE_BYTES), *more]

    def digest(self, socket):
        return subprocess.run([self.binary("redis-cli"), "-s", socket, "debug", "digest"], check=True,
                              capture_output=True, text=True, timeout=300).stdout.strip()

    def ctl(self, *args, check=True):
        done = subprocess.run([self.binary("chargectl"), "--address", self.address, *args],
                              capture_output=True, text=True)
        if check and done.returncode != 0:
            raise Failure(f"chargectl {' '.join(args)}: exit {done.returncode}: {done.stderr.strip()}")
        return done

    def ctl_json(self, *args):
        return json.loads(self.ctl(*args, "--json=short").stdout)

    def show(self, *args, check=True):
        say(f"\n$ chargectl {' '.join(args)}")
        done = self.ctl(*args, check=check)
        say((done.stdout + done.stderr).rstrip())
        return done

    # what is measured

    def charged(self, pid):
        """Anonymous bytes of a process by the group charged, and its resident bytes."""
        by_group = {}
        rows = self.ctl_json("map", str(pid))["rows"]
        for row in rows:
            if row["kind"].startswith("anon"):
                by_group[row["group"]] = by_group.get(row["group"], 0) + row["bytes"]
        return by_group

    def rss(self, pid):
        return int(next(line for line in read(f"/proc/{pid}/status").splitlines()
                        if line.startswith("VmRSS")).split()[1]) * 1024

    def anon_of(self, group):
        return stat_value(read(self.root + group + "/memory.stat"), "anon")

    def frozen_picture(self, pid, groups):
        """All that a refused move must leave as it was."""
        picture = {"anon": self.charged(pid), "where": read(f"/proc/{pid}/cgroup")}
        for group in groups:
            for file in ("cgroup.procs", "cgroup.subtree_control", "memory.max", "memory.high", "memory.low"):
                picture[group + file] = read(f"{self.root}{group}/{file}")
            picture[group + "anon"] = self.anon_of(group)
        return picture

    def windows(self, begin, end):
        """Traffic between two moments: operations a second, longest stall in ms, errors."""
        lines = [list(map(int, line.split())) for line in read(self.log).splitlines() if line.count(" ") == 3]
        inside = [line for line in lines if begin <= line[0] / 1e6 <= end + 0.15]
        seconds = max(end - begin, 0.1)
        return {"ops": sum(line[1] for line in inside) / seconds,
                "stall": max((line[2] for line in inside), default=0) / 1000,
                "errors": lines[-1][3] if lines else 0}

    # the story

    def prepare(self):
        say("A Redis server in /demo/a, filled with real keys, every answer of its clients checked.")
        self.start_bus()
        self.start_daemon()
        self.ctl("create", "/demo/a", "--parents")
        self.ctl("create", "/demo/b")
        self.ctl("create", "/demo/small", "MemoryMax=64M")
        self.redis, self.socket = self.start_redis("redis", "/demo/a", thp=True)
        self.pid = self.redis.pid
        subprocess.run(self.redis_load("fill", self.socket, self.options.keys), check=True)
        self.digest_before = self.digest(self.socket)
        self.load = self.spawn(self.redis_load("traffic", self.socket, self.options.keys, self.log))
        time.sleep(2)

    def move(self):
        self.show("map", str(self.pid))
        self.show("plan", str(self.pid), "/demo/b")
        before, rss_before = self.charged(self.pid), self.rss(self.pid)
        calm = self.windows(time.monotonic() - 1.5, time.monotonic())
        begin = time.monotonic()
        self.show("move", str(self.pid), "/demo/b", "--policy=reserve")
        end = time.monotonic()
        result = max(self.ctl_json("jobs"), key=lambda job: job["id"])["result"]
        time.sleep(0.3)
        busy = self.windows(begin, end)
        self.show("map", str(self.pid))
        after = self.charged(self.pid)
        total = sum(after.values())
        stats = {group: self.anon_of(group) for group in ("/demo/a", "/demo/b")}
        say(f"\nmemory.stat anon: /demo/a {stats['/demo/a'] / MIB:.1f} MiB, /demo/b {stats['/demo/b'] / MIB:.1f} MiB")
        self.digest_after = self.digest(self.socket)
        return {
            "backend": ",".join(sorted({row["backend"] for row in result["rows"]
                                        if row.get("moved_bytes") and row.get("backend")})),
            "anon_bytes": sum(before.values()),
            "moved_ratio": round(after.get("/demo/b", 0) / total, 4),
            "moved_ratio_memory_stat": round(stats["/demo/b"] / (stats["/demo/a"] + stats["/demo/b"]), 4),
            "figures_sum_ratio": round(sum(stats.values()) / total, 4),
            "rss_growth_ratio": round(self.rss(self.pid) / rss_before - 1, 4),
            "digest_equal": self.digest_before == self.digest_after,
            "longest_stall_ms": round(busy["stall"], 1),
            "longest_stall_before_ms": round(calm["stall"], 1),
            "throughput_ratio": round(busy["ops"] / calm["ops"], 3) if calm["ops"] else None,
            "move_seconds": round(end - begin, 3),
        }

    def refuse(self):
        say("\nA group whose memory.max is too small: refused, and nothing has changed.")
        self.load.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        groups = ("/demo", "/demo/a", "/demo/b", "/demo/small")
        before = self.frozen_picture(self.pid, groups)
        refused = self.show("move", str(self.pid), "/demo/small", "--policy=reserve", check=False)
        after = self.frozen_picture(self.pid, groups)
        self.load.send_signal(signal.SIGCONT)
        for key in before:
            if before[key] != after[key]:
                say(f"changed: {key}: {before[key]!r} -> {after[key]!r}")
        return {"refused_unchanged": refused.returncode != 0 and before == after}

    def cancel(self):
        say("\nA move back to /demo/a, cancelled at about half: rolled back.")
        before = self.charged(self.pid).get("/demo/b", 0)
        rate = before // ROLLBACK_SECONDS
        argv = [self.binary("chargectl"), "--address", self.address, "move", str(self.pid), "/demo/a",
                "--policy=reserve", f"--rate={rate}", "--json=short"]
        mover = self.spawn(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        half = wait_for("half of the move", lambda: self.half_moved(before) or mover.poll() is not None, 120)
        if mover.poll() is None:
            mover.send_signal(signal.SIGINT)
        output, errors = mover.communicate(timeout=300)
        after = self.charged(self.pid).get("/demo/b", 0)
        say(f"\n$ chargectl {' '.join(argv[3:-1])}")
        if half is not True:
            say(f"^C after {half / MIB:.1f} MiB")
        say(errors.strip())
        self.show("map", str(self.pid))
        there = read(f"/proc/{self.pid}/cgroup").strip().endswith("/demo/b")
        moved = json.loads(output).get("moved_bytes", 0) if output.strip() else 0
        moved = max(moved, half if half is not True else 0)
        if not moved or not there:
            return {"rollback_ratio": 0.0}
        return {"rollback_ratio": round(max(0.0, 1 - max(before - after, 0) / moved), 4)}

    def half_moved(self, total):
        back = self.anon_of("/demo/a")
        return back if back >= total * 0.4 else 0

    def forbidden(self):
        say("\nA Redis with its default, which forbids itself huge pages: the plan says what that means here.")
        process, socket = self.start_redis("plain", "/demo/a", thp=False)
        subprocess.run(self.redis_load("fill", socket, 4000), check=True)
        self.show("plan", str(process.pid), "/demo/b", check=False)

    def run(self):
        self.prepare()
        summary = {"kernel": os.uname().release, **self.move(), **self.refuse(), **self.cancel()}
        self.forbidden()
        summary["client_errors"] = self.windows(0, time.monotonic())["errors"]
        if self.load.poll() is not None:
            summary["client_errors"] += 1
        return summary

    def clean(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(20)
        for path, _, _ in os.walk(self.root, topdown=False):
            try:
                os.rmdir(path)
            except OSError as error:
                print(f"demo: {path} could not be removed: {error}", file=sys.stderr)
        shutil.rmtree(self.work, ignore_errors=True)


GOALS = {
    "moved_ratio": (lambda v: v >= 0.98, "of its anonymous bytes are charged to the target (goal: 0.98)"),
    "moved_ratio_memory_stat": (lambda v: v >= 0.98, "by memory.stat of both groups (goal: 0.98)"),
    "figures_sum_ratio": (lambda v: abs(v - 1) <= 0.01, "memory.stat of both groups against the map (goal: 1 +- 0.01)"),
    "rss_growth_ratio": (lambda v: v <= 0.01, "growth of the resident set (goal: at most 0.01)"),
    "digest_equal": (lambda v: v is True, "DEBUG DIGEST before and after"),
    "client_errors": (lambda v: v == 0, "wrong or missing answers"),
    "refused_unchanged": (lambda v: v is True, "a move without room changes nothing"),
    "rollback_ratio": (lambda v: v >= 0.95, "of the moved bytes are back after a cancel (goal: 0.95)"),
}

FIGURES = {
    "anon_bytes": "anonymous memory of the server",
    "longest_stall_ms": "the longest that a client waited during the move",
    "longest_stall_before_ms": "the same before it",
    "throughput_ratio": "operations a second during the move against before",
    "move_seconds": "from the command to its end",
}


def print_summary(summary):
    say(f"\nSummary, kernel {summary['kernel']}, backend {summary['backend']}")
    for key, value in summary.items():
        check, what = GOALS.get(key, (None, FIGURES.get(key, "")))
        mark = "      " if check is None else "  ok  " if check(value) else " FAIL "
        if key == "anon_bytes":
            value = f"{value / MIB:.1f} MiB"
        if key not in ("kernel", "backend"):
            say(f"{mark}{key:<26} {value!s:<10} {what}")


def main():
    parser = argparse.ArgumentParser(description="Move a live Redis between cgroups with its memory.")
    parser.add_argument("--bin", default=os.path.dirname(os.path.abspath(__file__)), help="where the programs are")
    parser.add_argument("--mount", default="/sys/fs/cgroup", help="where cgroup2 is mounted")
    parser.add_argument("--keys", type=int, default=100000, help=f"keys of {VALUE_BYTES} bytes")
    parser.add_argument("--json", action="store_true", help="print one object and nothing else")
    parser.add_argument("--json-file", help="write the object there too")
    options = parser.parse_args()
    Demo.quiet = options.json
    if "memory" not in read(os.path.join(options.mount, "cgroup.controllers")).split():
        sys.exit(f"demo: {options.mount}/cgroup.controllers has no 'memory': this host keeps the memory controller on "
                 "cgroup v1 (boot with cgroup_no_v1=memory), or run it in the VM: ./dev demo")
    demo = Demo(options)
    try:
        summary = demo.run()
    except (Failure, subprocess.SubprocessError, OSError) as error:
        log = os.path.join(demo.work, "chargehandd.log")
        if os.path.exists(log):
            print(read(log)[-4000:], file=sys.stderr)
        print(f"demo: {error}", file=sys.stderr)
        return 1
    finally:
        demo.clean()
    print_summary(summary)
    if options.json_file:
        with open(options.json_file, "w") as file:
            print(json.dumps(summary), file=file)
    if options.json:
        print(json.dumps(summary))
    return 0 if all(check(summary[key]) for key, (check, _) in GOALS.items()) else 1


if __name__ == "__main__":
    sys.exit(main())

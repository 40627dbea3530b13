# Verbs of the cases about chargehandd: `. "$TESTS/daemon.sh"` after lib.sh.
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh

# call METHOD [SIGNATURE ARGUMENT…]: of the manager; the answer as JSON.
call() {
        busctl --system --json=short call org.chargehand1 /org/chargehand1 org.chargehand1.Manager "$@"
}

# answer PYTHON: an expression over the answer's data `d` on stdin: d[0] is the first value. Variants are unpacked.
answer() {
        python3 -c '
import json, sys
def plain(v):
    if isinstance(v, dict):
        if set(v) == {"type", "data"}:
            return plain(v["data"])
        return {k: plain(x) for k, x in v.items()}
    return [plain(x) for x in v] if isinstance(v, list) else v
d = plain(json.load(sys.stdin)["data"])
print(eval(sys.argv[1]))' "$1"
}

# call_fails ERROR-TEXT METHOD…: it must fail with a message that holds the text; message in $ERR.
call_fails() {
        _text=$1
        shift
        assert_fails call "$@"
        assert_in "$ERR" "$_text" "message of $1"
}

# group_property GROUP-OBJECT-SUFFIX NAME
group_property() {
        busctl --system --json=short get-property org.chargehand1 "/org/chargehand1/group/$1" org.chargehand1.Group "$2" |
                python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["data"]))'
}

# property_is GROUP-OBJECT-SUFFIX NAME JSON: the model follows the kernel's events, so to be waited for
property_is() {
        [ "$(group_property "$1" "$2")" = "$3" ]
}

# watch_signals: all signals of the daemon go to $TMPDIR/signals, one line each: MEMBER ARGUMENT…
watch_signals() {
        dbus-monitor --system "type='signal',sender='org.chargehand1'" >"$TMPDIR/monitor" 2>&1 &
        MONITOR=$!
        wait_for 20 grep -q NameAcquired "$TMPDIR/monitor"
}

# n_signals MEMBER [FIRST-STRING]: how many came.
n_signals() {
        python3 - "$TMPDIR/monitor" "$@" <<'PYTHON'
import re, sys
count, member = 0, None
want, first = sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None
for line in open(sys.argv[1]):
    m = re.match(r"signal .*member=(\w+)", line)
    if m:
        member = m.group(1)
        if member == want and first is None:
            count += 1
        continue
    m = re.match(r'   (?:string|object path) "(.*)"', line)
    if m and member == want and first is not None:
        count += m.group(1) == first
        member = None
print(count)
PYTHON
}

# signal_came MEMBER [FIRST-STRING]: the monitor writes some time after the signal was sent, so to be waited for
signal_came() {
        [ "$(n_signals "$@")" -ge 1 ]
}

# job_state N
job_state() {
        call ListJobs | answer "next((j[3] for j in d[0] if j[0] == $1), 'gone')"
}

job_has_ended() {
        case $(job_state "$1") in
        waiting | running | cancelling) return 1 ;;
        esac
}

# job_result N: the Result property as JSON.
job_result() {
        busctl --system --json=short get-property org.chargehand1 "/org/chargehand1/job/$1" org.chargehand1.Job Result
}

# settings GROUP…: members and everything that can be set, to be compared before and after.
settings() {
        for _g; do
                for _f in cgroup.procs cgroup.freeze cgroup.subtree_control cpu.max cpu.weight io.max memory.min memory.low \
                        memory.high memory.max memory.swap.max memory.oom.group pids.max; do
                        [ ! -e "$CG$_g/$_f" ] || echo "$_g $_f $(tr '\n' ' ' <"$CG$_g/$_f")"
                done
        done
}

rss_kib() {
        awk '$1 == "VmRSS:" { print $2 }' "/proc/$DAEMON/status"
}

# list_usec: of one ListGroups over all groups, the quickest of five calls of one client, the answer read but not decoded
list_usec() {
        python3 -c '
import re, subprocess, time
best = None
for _ in range(5):
    start = time.monotonic()
    subprocess.run(["dbus-send", "--system", "--print-reply=literal", "--reply-timeout=60000", "--dest=org.chargehand1",
                    "/org/chargehand1", "org.chargehand1.Manager.ListGroups", "string:/", "uint32:0"], check=True,
                   stdout=subprocess.DEVNULL)
    took = time.monotonic() - start
    best = took if best is None else min(best, took)
print(int(best * 1e6))'
}

# row FILE CASE SIZE OURS REFERENCE REFERENCE-NAME UNIT: a line for the benchmark table
row() {
        awk -v c="$2" -v s="$3" -v o="$4" -v r="$5" -v n="$6" -v u="$7" 'BEGIN {
                printf "{\"bench\":\"daemon\",\"case\":\"%s\",\"size\":%d,\"ours\":%.3f,\"reference\":%.3f,", c, s, o, r
                printf "\"reference_name\":\"%s\",\"ratio\":%.3f,\"unit\":\"%s\"}\n", n, (r > 0 ? o / r : 0), u }' >>"$1"
}

per() {
        awk -v a="$1" -v n="$2" 'BEGIN { print a / n }'
}

# measure_groups FILE: makes 1,000 and then 10,000 groups below /n and starts the daemon on them; rows in FILE, figures by emit
measure_groups() {
        echo "+memory +pids" >"$CG/cgroup.subtree_control"
        mkdir "$CG/n"
        echo "+memory +pids" >"$CG/n/cgroup.subtree_control"
        _made=0
        for size in 1000 10000; do
                (cd "$CG/n" && seq $_made $((size - 1)) | sed 's/^/g/' | xargs mkdir)
                _made=$size
                # once to warm up, so that both sizes are measured alike
                start_daemon
                stop_daemon
                start_daemon
                call Status >status
                assert_ge "$(answer 'd[0]["groups"]' <status)" $((size + 1)) groups
                assert_ge "$(call ListGroups su /n 0 | answer 'len(d[0])')" $((size + 1)) "rows of ListGroups"
                assert_eq "$(answer 'd[0]["watches"]["complete"]' <status)" True "watches for all"
                eval "scan_$size=$(answer 'd[0]["scan_usec"]' <status) list_$size=$(list_usec) rss_$size=$(rss_kib)"
                stop_daemon
        done
        emit scan_usec_1000 "$scan_1000"
        emit scan_usec_10000 "$scan_10000"
        emit list_usec_1000 "$list_1000"
        emit list_usec_10000 "$list_10000"
        emit rss_kib_1000 "$rss_1000"
        emit rss_kib_10000 "$rss_10000"
        emit rss_bytes_per_group_10000 $((rss_10000 * 1024 / 10000))
        row "$1" "start-up scan, per group" 10000 "$(per "$scan_10000" 10000)" "$(per "$scan_1000" 1000)" "with 1,000 groups" "µs"
        row "$1" "ListGroups, per group" 10000 "$(per "$list_10000" 10000)" "$(per "$list_1000" 1000)" "with 1,000 groups" "µs"
        row "$1" "resident memory, per group" 10000 "$(per $((rss_10000 * 1024)) 10000)" 4096 "4 KiB" "bytes"
}

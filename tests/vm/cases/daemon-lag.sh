# inotify loses events: the tree is read again beside the loop, and each group is told of once.
#
#     queue of 64 events ── daemon stopped, 1,000 groups made, then removed ──▶ events lost
# timeout: 240
# boot: own
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/daemon.sh"

N=1000

# knows N: groups in the daemon's model below /n
knows() {
        [ "$(call ListGroups su /n 0 | answer 'len(d[0])')" = $(($1 + 1)) ]
}

# told MEMBER: groups below /n that a signal came for, and the most signals of one of them
told() {
        python3 - "$TMPDIR/monitor" "$1" <<'PYTHON'
import collections, re, sys
seen, member = collections.Counter(), None
for line in open(sys.argv[1]):
    if line.startswith("signal "):
        member = re.search(r"member=(\w+)", line).group(1)
    m = re.match(r'   string "(/n/.*)"', line)
    if m and member == sys.argv[2]:
        seen[m.group(1)] += 1
        member = None
print(len(seen), max(seen.values(), default=0))
PYTHON
}

all_told() {
        [ "$(told "$1")" = "$N 1" ]
}

made_again() {
        assert_eq "$(n_signals GroupNew /n/g1)" 2 "GroupNew of the group that was made again"
}

rescans() {
        call Status | answer 'd[0]["watches"]["rescans"]'
}

echo 64 >/proc/sys/fs/inotify/max_queued_events
start_daemon
watch_signals
cg_create /n
wait_for 10 signal_came GroupNew /n
assert_eq "$(rescans)" 0 "rescans at first"

note "made while nobody looks"
kill -STOP "$DAEMON"
(cd "$CG/n" && seq $N | sed 's/^/g/' | xargs mkdir)
kill -CONT "$DAEMON"
wait_for 60 knows $N
assert_ge "$(rescans)" 1 rescans
wait_for 60 all_told GroupNew

note "removed, and one made again, while nobody looks"
kill -STOP "$DAEMON"
echo 1 >"$CG/n/g1/cgroup.freeze"
(cd "$CG/n" && seq 2 $N | sed 's/^/g/' | xargs rmdir)
rmdir "$CG/n/g1" && mkdir "$CG/n/g1"
echo 1 >"$CG/n/g1/cgroup.freeze"
kill -CONT "$DAEMON"
wait_for 60 knows 1
wait_for 60 all_told GroupRemoved
soon made_again
wait_for 10 property_is _2fn_2fg1 Frozen true
rmdir "$CG/n/g1"
wait_for 10 knows 0
stop_daemon >stopped
assert_eq "$(cat stopped)" "chargehandd ended with 0"

# Everything chargehandd does, over the system bus, with real memory:
#
#     /d/a ── writer, 64 MiB ──▶ /d/b        plan, move, map, freeze, thaw, kill
#     /d/small (16 MiB)  ✗ no room           /d/oom (24 MiB) writer of 64 MiB dies
#     /d/u, delegated to uid 1000            /foreign, made by hand
# timeout: 400
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"
. "$TESTS/daemon.sh"

start_daemon
assert_eq "$(call Status | answer 'd[0]["mode"]')" root
watch_signals

note "groups"
call CreateGroup 'sa{sv}a{sv}' /d/a 1 MemoryMax s 512M 1 parents b true >/dev/null
call CreateGroup 'sa{sv}a{sv}' /d/b 0 0 >/dev/null
assert_eq "$(cg_read /d/a memory.max)" 536870912
assert_eq "$(group_property _2fd_2fa MemoryMax)" 536870912
call_fails "exists already" CreateGroup 'sa{sv}a{sv}' /d/a 0 0
call_fails "did you mean 'MemoryHigh'" CreateGroup 'sa{sv}a{sv}' /d/c 1 MemoryHihg s 1G 0
[ ! -d "$CG/d/c" ] || fail "a refused creation left a group"
wait_for 10 signal_came GroupNew /d/b
for group in /d /d/a /d/b; do
        assert_eq "$(n_signals GroupNew $group)" 1 "GroupNew of $group"
done

note "all or nothing"
assert_eq "$(call SetProperties 'sa{sv}a{sv}' /d/a 2 MemoryHigh s 400M TasksMax t 200 0 | answer 'd[0]')" 2
call_fails "MemoryLow" SetProperties 'sa{sv}a{sv}' /d/a 2 MemoryHigh s 300M MemoryLow s 5Q 0
assert_eq "$(cg_read /d/a memory.high)" 419430400
assert_eq "$(call SetProperties 'sa{sv}a{sv}' /d/a 1 MemoryHigh s 400M 0 | answer 'd[0]')" 0 "files changed by an equal value"
busctl --system set-property org.chargehand1 /org/chargehand1/group/_2fd_2fa org.chargehand1.Group MemoryHigh t 314572800
assert_eq "$(cg_read /d/a memory.high)" 314572800

note "plan, move, map"
start_writer /d/a small 64
wait_for 10 signal_came PropertiesChanged org.chargehand1.Group
wait_for 10 property_is _2fd_2fa Populated true
assert_eq "$(call GetGroupByPID u "$PID" | answer 'd[0]')" /d/a
call PlanMove 'a{sv}' 2 pids au 1 "$PID" target s /d/b >plan
assert_eq "$(answer 'd[0]["feasible"]' <plan)" True
assert_ge "$(answer 'd[0]["movable_bytes"]' <plan)" 60000000
call CreateGroup 'sa{sv}a{sv}' /d/small 1 MemoryMax s 16M 0 >/dev/null
kill -STOP "$PID"
picture /d/a /d/small >before
assert_ge "$(awk '$1 == "/d/a" && $2 == "anon" { print $3 }' before)" $((64 * 1048576)) "anon of /d/a in the picture"
call_fails "/d/small" Move 'a{sv}' 2 pids au 1 "$PID" target s /d/small
picture /d/a /d/small >after
diff before after || fail "a refused move changed something"
kill -CONT "$PID"
JOB=$(call Move 'a{sv}' 2 pids au 1 "$PID" target s /d/b | answer 'd[0]')
wait_for 60 job_has_ended "$JOB"
job_result "$JOB" >result.json
cat result.json
assert_eq "$(job_state "$JOB")" finished
assert_eq "$(cg_of "$PID")" /d/b
wait_for 10 signal_came JobRemoved
assert_eq "$(n_signals JobNew)" 1 JobNew
assert_eq "$(n_signals JobRemoved)" 1 JobRemoved
call ChargeMap 'a{sv}' 1 pid u "$PID" >map
moved=$(answer 'sum(r["bytes"] for r in d[0]["rows"] if r["group"] == "/d/b" and r["kind"].startswith("anon"))' <map)
emit moved_bytes "$moved"
assert_ge "$moved" $((64 * 1048576 * 98 / 100)) "bytes on the account of /d/b"
check_writer
call_fails "no process" Move 'a{sv}' 2 pids au 1 4000000 target s /d/b
call_fails "chargehandd itself" Move 'a{sv}' 2 pids au 1 "$DAEMON" target s /d/b

note "freeze, thaw, kill"
call Freeze s /d/b >/dev/null
assert_eq "$(cg_key /d/b cgroup.events frozen)" 1
wait_for 10 property_is _2fd_2fb Frozen true
call Thaw s /d/b >/dev/null
assert_eq "$(cg_key /d/b cgroup.events frozen)" 0
call_fails "left in it" RemoveGroup 'sa{sv}' /d/b 0
call Kill si /d/b 9 >/dev/null
assert_eq "$(cg_key /d/b cgroup.events populated)" 0
wait "$PID" || true

note "out of memory"
call CreateGroup 'sa{sv}a{sv}' /d/oom 2 MemoryMax s 24M MemorySwapMax t 0 0 >/dev/null
sh -c 'echo 0 >"$0" && exec prog-writer /dev/null small 64' "$CG/d/oom/cgroup.procs" || true
wait_for 20 signal_came GroupOom /d/oom
assert_eq "$(n_signals GroupOom /d/oom)" 1 "GroupOom of /d/oom"
assert_eq "$(n_signals GroupOom /d)" 0 "GroupOom of the group above"

note "whose it is"
call CreateGroup 'sa{sv}a{sv}' /d/u 1 MemoryMax s 64M 2 uid u 1000 gid u 1000 >/dev/null
if as_tester busctl --system call org.chargehand1 /org/chargehand1 org.chargehand1.Manager SetProperties 'sa{sv}a{sv}' /d/a 1 \
        MemoryMax s 1G 0 2>refused; then
        fail "uid 1000 may set the limits of a group of root"
fi
assert_in "$(cat refused)" "uid 1000"
as_tester busctl --system call org.chargehand1 /org/chargehand1 org.chargehand1.Manager CreateGroup 'sa{sv}a{sv}' /d/u/x 1 \
        MemoryMax s 32M 0
assert_eq "$(stat -c %u "$CG/d/u/x/memory.max")" 1000
if as_tester busctl --system call org.chargehand1 /org/chargehand1 org.chargehand1.Manager SetProperties 'sa{sv}a{sv}' /d/u 1 \
        MemoryMax s 1G 0 2>refused; then
        fail "uid 1000 may lift the limit of what was delegated to it"
fi
assert_eq "$(cg_read /d/u memory.max)" 67108864
setpriv --reuid=1000 --regid=1000 --clear-groups sleep 300 &
TESTER=$!
if as_tester busctl --system call org.chargehand1 /org/chargehand1 org.chargehand1.Manager Move 'a{sv}' 2 pids au 1 "$TESTER" \
        target s /d/u/x 2>refused; then
        fail "uid 1000 may pull a process out of the root group"
fi
as_tester busctl --system call org.chargehand1 /org/chargehand1 org.chargehand1.Manager CreateGroup 'sa{sv}a{sv}' /d/u/y 0 0
cg_move /d/u/y "$TESTER"
JOB=$(as_tester busctl --system --json=short call org.chargehand1 /org/chargehand1 org.chargehand1.Manager Move 'a{sv}' 3 \
        pids au 1 "$TESTER" target s /d/u/x policy s stay | answer 'd[0]')
wait_for 30 job_has_ended "$JOB"
assert_eq "$(cg_of "$TESTER")" /d/u/x
kill "$TESTER"

note "groups of others"
mkdir "$CG/foreign"
wait_for 10 signal_came GroupNew /foreign
call_fails "rmdir" RemoveGroup 'sa{sv}' /foreign 0
rmdir "$CG/foreign"
wait_for 10 signal_came GroupRemoved /foreign
assert_fails chargehandd --state="$TMPDIR/other"
assert_in "$ERR" "another chargehandd"

note "again"
call RemoveGroup 'sa{sv}' /d/small 0 >/dev/null
wait_for 10 signal_came GroupRemoved /d/small
assert_eq "$(n_signals GroupRemoved /d/small)" 1 "GroupRemoved of /d/small"
call Snapshot >snapshot
assert_eq "$(answer '[g for g in d[0]["groups"] if g["path"] == "/d/a"][0]["properties"]["memory.max"]' <snapshot)" 536870912
stop_daemon >stopped
assert_eq "$(cat stopped)" "chargehandd ended with 0"
start_daemon
assert_eq "$(call ListGroups su /d 0 | answer '[g[0] for g in d[0] if not g[4] & 1]')" "[]" "groups that lost their mark"
wait_for 30 is_gone "$TESTER"
call RemoveGroup 'sa{sv}' /d 1 recursive b true >/dev/null
[ ! -d "$CG/d" ] || fail "/d is still there"
cat "$TMPDIR/daemon.log"

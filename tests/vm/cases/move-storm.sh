# A tree that forks and exits as fast as it can, on three levels and from several threads, is moved to and fro:
#
#     /g/a ◀──── 200 times ────▶ /g/b       /g/c  a neighbour that is none of it
#
# After each move the group it came from is empty, and no process is anywhere else.
# timeout: 600
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

cg_create /g/a /g/b /g/c
cg_run /g/c sleep 1000
SLEEPER=$PID

# Processes that run away by forking and ending: their group is emptied all the same, frozen for a moment if need be.
sh -c "echo 0 >$CG/g/a/cgroup.procs && exec prog-storm 20 0 runner" &
wait_for 20 grep -q "populated 1" "$CG/g/a/cgroup.events"
rc=0
limited 100 prog-shuttle 20 group /g/a /g/b 1 >figures 2>errors || rc=$?
cat figures errors
assert_eq $rc 0 "prog-shuttle with runners"
emit most_rounds_runners "$(awk '{ print $12 }' figures)"
grep -q "populated 1" "$CG/g/a/cgroup.events" || fail "they are not in /g/a after an even number of moves"
wait_for 10 grep -q "populated 0" "$CG/g/b/cgroup.events"
assert_eq "$(cg_read /g/a cgroup.freeze)$(cg_read /g/b cgroup.freeze)" 00 "nothing is left frozen"
assert_eq "$(cg_read /g cgroup.procs)" "" "processes in the parent"
echo 1 >"$CG/g/a/cgroup.kill"
echo 1 >"$CG/g/b/cgroup.kill"
wait_for 20 grep -q "populated 0" "$CG/g/a/cgroup.events"
wait_for 20 grep -q "populated 0" "$CG/g/b/cgroup.events"

for how in tree group; do
        cg_run /g/a prog-storm 3 3
        rc=0
        limited 200 prog-shuttle 100 $how /g/a /g/b "$PID" >figures 2>errors || rc=$?
        cat figures errors
        assert_eq $rc 0 "prog-shuttle $how"
        assert_eq "$(awk '{ print $8 }' figures)" 0 "left in the source"
        emit "rounds_$how" "$(awk '{ print $4 }' figures)"
        # nothing got out of the two groups
        assert_eq "$(cg_read /g cgroup.procs)" "" "processes in the parent"
        for p in $(pgrep prog-storm || true); do
                group=$(cg_of "$p" 2>/dev/null || true)
                case $group in
                /g/a | /g/b | "" | "/") ;; # "/" is what a zombie shows
                *) fail "process $p is in $group" ;;
                esac
        done
        assert_eq "$(cg_of $SLEEPER)" /g/c
        assert_eq "$(cg_read /g/a cgroup.freeze)$(cg_read /g/b cgroup.freeze)" 00 "nothing is left frozen"
        echo 1 >"$CG/g/a/cgroup.kill"
        echo 1 >"$CG/g/b/cgroup.kill"
        wait_for 20 grep -q "populated 0" "$CG/g/a/cgroup.events"
        wait_for 20 grep -q "populated 0" "$CG/g/b/cgroup.events"
done

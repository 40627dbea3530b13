# The module comes and goes while memory moves, and who moves it is killed:
#
#     rmmod in mid-move ▶ refused, it is in use
#     SIGKILL of the caller in mid-move ▶ rmmod at once; each page is on one account or the other
#
# Eight rounds, or as many as --env ROUNDS= says; nothing is lost and the kernel has nothing to say.
# module: yes
# suite: kmod
# timeout: 180
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"

ROUNDS=${ROUNDS:-8}

sum_is() {
        assert_eq $(($(cg_key /g/a memory.stat anon) + $(cg_key /g/b memory.stat anon))) "$1" "anon of both groups"
        assert_eq "$(cg_key /g memory.stat anon)" "$1" "anon of their parent"
}

anon_of_writers() {
        cat "/proc/$SMALL/smaps_rollup" "/proc/$HUGE/smaps_rollup" | awk '$1 == "Anonymous:" { n += $2 * 1024 } END { print n }'
}

unloads() {
        rmmod chargehand 2>/dev/null
}

dying() {
        awk '$1 == "nr_dying_descendants" { print $2 }' $CG/cgroup.stat
}

dying_before=$(dying)
cg_create /g/a /g/b
start_writer /g/a small 32
SMALL=$PID
mkdir huge
top=$TMPDIR
TMPDIR=$TMPDIR/huge
start_writer /g/a huge 32
HUGE=$PID

i=0
while [ $i -lt "$ROUNDS" ]; do
        module_load
        prog-module-ask move "$SMALL" /g/a /g/b forever &
        first=$!
        prog-module-ask move "$HUGE" /g/b /g/a forever &
        second=$!
        # both are at it once the device is in use twice
        wait_for 30 sh -c "[ \$(awk '\$1 == \"chargehand\" { print \$3 }' /proc/modules) -ge 2 ]"
        sleep 0.0$((i % 5 + 1))
        if [ $((i % 4)) -eq 0 ]; then
                assert_fails rmmod chargehand
                assert_in "$ERR" "in use" "rmmod in mid-move"
        fi
        { kill -KILL $first $second && wait $first $second; } 2>/dev/null || true
        wait_for 30 unloads
        i=$((i + 1))
done

kill -STOP "$SMALL" "$HUGE"
total=$(anon_of_writers)
soon sum_is "$total"
kill -CONT "$SMALL" "$HUGE"
PID=$HUGE
check_writer
stop_writer
READY=$top/ready
PID=$SMALL
check_writer
stop_writer
empty() {
        sum_is 0
}
soon empty
# what the writers have written is on their groups' account
rm -f "$top/ready" "$top/huge/ready"
cg_remove /g
gone() {
        [ "$(dying)" -le "$dying_before" ]
}
wait_for 60 gone
module_clean

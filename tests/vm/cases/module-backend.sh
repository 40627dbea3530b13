# With chargehand.ko all that is a program's own moves, to the page: memory of which it forbids huge pages, small mappings, swap
# (not on 7.2), pages that it shares with others in the move. Without the module it is as before.
# module: yes
# timeout: 480
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"

MIB=1048576
cg_create /g/a /g/b /g/c

backend() {
        python3 -c '
import json, sys
sums = json.load(open(sys.argv[1]))["backends"].get(sys.argv[2], {})
print(sum(sums.values()) if len(sys.argv) < 4 else sums.get(sys.argv[3], 0))' "$TMPDIR/result" "$@"
}

# nothing_left GROUP: not a page of anonymous memory is charged to it. memory.stat is late, by two seconds.
nothing_left() {
        stat_le "$1" anon 0
}

# python_in GROUP TEXT: runs in the group; it says ready in $READY, and goes on when it gets SIGUSR1.
python_in() {
        READY=$TMPDIR/ready
        rm -f "$READY"
        _group=$1
        cat >"$TMPDIR/program.py" <<EOF
import mmap, os, signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
def ready():
    with open("$READY", "a") as f: f.write("ready\n")
def wait():
    signal.sigwait({signal.SIGUSR1})
MIB = 1 << 20
$2
time.sleep(10000)
EOF
        cg_run "$_group" python3 "$TMPDIR/program.py"
        wait_for 60 grep -q ready "$READY"
}

note "without the module"
start_writer /g/a disabled 32
run_move 0 --plan /g/b "$PID"
assert_ge "$(staying "huge pages forbidden")" $((31 * MIB)) "forbidden without the module"
assert_eq "$(backend module)" 0

note "with it: forbidden huge pages"
module_load
run_move 0 --plan /g/b "$PID"
cat result
assert_eq "$(staying "huge pages forbidden")" 0
assert_ge "$(backend module anon)" $((32 * MIB)) "anon by the plan"
[ "$(cat "$CG/g/b/memory.current")" -lt $MIB ] || fail "a plan charges nothing"
run_move 0 /g/b "$PID"
cat result
assert_eq "$(result state)" finished
assert_eq "$(cg_of "$PID")" /g/b
assert_ge "$(backend module anon)" $((32 * MIB)) "anon by the result"
assert_eq "$(backend collapse)" 0
soon stat_ge /g/b anon $((32 * MIB))
soon nothing_left /g/a
check_writer

note "back, huge pages, and a target that is too small"
run_move 0 /g/a "$PID"
soon nothing_left /g/b
stop_writer
start_writer /g/a huge 32
thp=$(cg_key /g/a memory.stat anon_thp)
run_move 0 /g/b "$PID"
soon nothing_left /g/a
soon stat_ge /g/b anon_thp "$thp"
check_writer
cg_write /g/a memory.max $((16 * MIB))
run_move 3 /g/a "$PID"
assert_in "$(cat error)" NoRoom
run_move 0 --policy stay /g/a "$PID"
run_move 1 --policy partial /g/a "$PID"
assert_in "$(result error)" NoRoom
assert_ge "$(cat "$CG/g/a/memory.current")" $((13 * MIB)) "what fits is there"
assert_eq "$(cg_key /g/a memory.events oom_kill)" 0
cg_write /g/a memory.max max
run_move 0 --policy lazy /g/a "$PID"
soon nothing_left /g/b
check_writer
stop_writer

note "small mappings of an ordinary program"
python_in /g/a 'areas = [mmap.mmap(-1, 5 * 4096, flags=mmap.MAP_PRIVATE) for i in range(500)]
for a in areas: a[0] = a[8192] = 1
ready()'
run_move 0 /g/b "$PID"
soon nothing_left /g/a
stop_writer

note "swap"
READY=$TMPDIR/ready
cg_run /g/a prog-memory "$READY" swap 16
wait_for 60 grep -qx touched "$READY"
kill -USR1 "$PID"
wait_for 60 grep -qx "paged out" "$READY"
swapped=$(cg_read /g/a memory.swap.current)
assert_ge "$swapped" $((14 * MIB)) "swapped out"
prog-map pid "$PID" >map
cat map
run_move 0 --policy partial /g/b "$PID"
if [ "$KERNEL" = 7.2 ]; then
        assert_ge "$(staying swapped)" $((14 * MIB)) "swap stays on 7.2"
else
        assert_in "$(cat map)" "row /g/a swap" "who pays for swap"
        assert_ge "$(backend module swap)" $((14 * MIB)) "swap moved"
        assert_eq "$(cg_read /g/a memory.swap.current)" 0
        assert_ge "$(cg_read /g/b memory.swap.current)" $((14 * MIB)) "swap of the target"
fi
soon nothing_left /g/a
kill -USR1 "$PID"
wait_for 60 grep -qx back "$READY"
stop_writer

note "fork: pages go with all who map them, and stay when one is outside"
python_in /g/a 'a = mmap.mmap(-1, 16 * MIB, flags=mmap.MAP_PRIVATE)
for i in range(0, len(a), 4096): a[i] = 1
if os.fork() == 0: time.sleep(10000)
ready()'
run_move 0 /g/b "$PID"
assert_ge "$(staying shared)" $((14 * MIB)) "shared with a child outside"
run_move 0 /g/a "$PID"
run_move 0 --tree /g/b "$PID"
cat result
assert_ge "$(backend module anon)" $((16 * MIB)) "shared within the move"
soon nothing_left /g/a
pkill -P "$PID"
stop_writer

module_unload
module_clean

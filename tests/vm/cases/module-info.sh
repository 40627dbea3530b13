# INFO tells who an address space is, who uses it and who pays: beside /proc, kcmp and the groups that the processes are in.
#
#     parent ── CLONE_VM ── sibling      one mm: the owner is the parent, until it is gone
#     first thread ends, the other stays: the same process, still the owner
#     a pid namespace: numbers are those of the caller's; who is not to be seen from there is 0
# module: yes
# timeout: 120
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

READY=$TMPDIR/ready
INFO=$TMPDIR/info

# start MODE…: prog-memory in /a
start() {
        : >"$READY"
        cg_run /a prog-memory "$READY" "$@"
        wait_for 20 test -s "$READY"
}

finish() {
        cg_write /a cgroup.kill 1
        wait_for 10 grep -q 'populated 0' "$CG/a/cgroup.events"
        wait "$PID" || true
}

# info PID [ROOM]
info() {
        prog-module-look info "$@" >"$INFO"
        echo "info $*: $(tr '\n' ',' <"$INFO")"
}

# is KEY VALUE [WHAT]
is() {
        assert_eq "$(sed -n "s/^$1 *//p" "$INFO")" "$2" "${3:-$1}"
}

mm_id() {
        info "$1"
        ID=$(sed -n 's/^mm_id //p' "$INFO")
}

# same_mm PID PID: by kcmp, which is the kernel's own word for it
same_mm() {
        python3 - "$1" "$2" <<'PYTHON'
import ctypes, sys
KCMP, KCMP_VM = 312, 1
result = ctypes.CDLL(None, use_errno=True).syscall(KCMP, int(sys.argv[1]), int(sys.argv[2]), KCMP_VM, 0, 0)
sys.exit(2 if result < 0 else result != 0)
PYTHON
}

module_load
cg_create /a /b
a=$(prog-module-look group "$CG/a")
b=$(prog-module-look group "$CG/b")

note "one process"
start anon 1 2 1
info "$PID"
is abi 1
is owner "$PID"
is tasks 1
is group "$a"
is n_pids 1
is pids "$PID"
cg_move /b "$PID"
info "$PID"
is group "$b" "the group after the move"
info "$PID" 0
is n_pids 1 "processes, with room for none"
is pids ""
finish_of=$PID
mm_id "$PID"
first=$ID
kill -KILL "$finish_of"
wait "$finish_of" || true

note "CLONE_VM: one address space of two processes, that pays by its owner"
start clone-vm 1
sibling=$(head -n 1 "$READY")
same_mm "$PID" "$sibling" || fail "kcmp calls the two address spaces different"
mm_id "$PID"
of_parent=$ID
is owner "$PID"
is tasks 2
is n_pids 2
is pids "$(printf '%s\n' "$PID" "$sibling" | sort -n | tr '\n' ' ' | sed 's/ $//')"
mm_id "$sibling"
assert_eq "$ID" "$of_parent" "the id by way of the sibling"
assert_ne "$ID" "$first" "the id of another address space"
is owner "$PID"
cg_move /b "$sibling"
info "$sibling"
is group "$a" "who pays for the sibling's memory"
info "$PID" 1
is n_pids 2 "processes, with room for one"
is pids "$(printf '%s\n' "$PID" "$sibling" | sort -n | head -n 1)" "the lowest of them"
kill -KILL "$sibling"
finish

note "the owner is gone: the other one is it"
start orphan 1
orphan=$(head -n 1 "$READY")
cg_move /b "$orphan"
kill -USR1 "$PID"
wait "$PID" || true
info "$orphan"
is owner "$orphan"
is tasks 1
is pids "$orphan"
is group "$b" "who pays now"
cg_write /b cgroup.kill 1
wait_for 10 grep -q 'populated 0' "$CG/b/cgroup.events"

note "the first thread has ended"
start leaderless 1
is_zombie() {
        grep -q '^State:.Z' "/proc/$PID/status"
}
wait_for 20 is_zombie
info "$PID"
is owner "$PID"
is tasks 1
is pids "$PID"
is group "$a"
prog-module-look map "$PID" | grep -q "^row $a anon " || fail "MAP of a process without its first thread shows nothing"
# cgroup.kill of 6.1 passes over a process whose first thread has ended
kill -KILL "$PID"
finish

note "threads and exec"
cg_run /a python3 -c '
import os, sys, threading, time
for i in range(5):
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
open(sys.argv[1], "w").close()
sys.stdin.readline() if not os.path.exists(sys.argv[1] + ".go") else None
while not os.path.exists(sys.argv[1] + ".go"): time.sleep(0.02)
os.execlp("sleep", "sleep", "1000")' "$TMPDIR/threads"
wait_for 20 test -e "$TMPDIR/threads"
mm_id "$PID"
assert_eq "$(sed -n 's/^tasks //p' "$INFO")" "$(sed -n 's/^Threads:[^0-9]*//p' "/proc/$PID/status")" "threads"
before=$ID
touch "$TMPDIR/threads.go"
wait_for 20 grep -q '^Name:.sleep' "/proc/$PID/status"
mm_id "$PID"
assert_ne "$ID" "$before" "the id after exec"
is tasks 1
is owner "$PID"
finish

note "a pid namespace: from within its own numbers, from without ours"
: >"$READY"
cg_run /a unshare --pid --fork --mount-proc sh -c 'prog-module-look info self >"$0.inside"; sh -c "sleep 1000 & wait" & 
        prog-module-look info "$!" >"$0.child"; echo "$!" >"$0.pid"; touch "$0.done"; wait' "$TMPDIR/ns"
wait_for 20 test -e "$TMPDIR/ns.done"
cat "$TMPDIR/ns.inside" "$TMPDIR/ns.child"
assert_le "$(sed -n 's/^owner //p' "$TMPDIR/ns.inside")" 20 "a number from within"
assert_eq "$(sed -n 's/^owner //p' "$TMPDIR/ns.child")" "$(cat "$TMPDIR/ns.pid")" "the child's number from within"
for pid in $(cat "$CG/a/cgroup.procs"); do
        info "$pid"
        is owner "$pid" "the number from without"
done
finish

note "who cannot be seen from the caller's pid namespace is 0"
# a descriptor of a process outside goes in by fork
sleep 1000 &
outside=$!
prog-module-look seen-from-below "$outside" >"$INFO"
cat "$INFO"
is owner 0
is n_pids 1
is pids 0
is tasks 1
kill "$outside"

module_unload
module_clean

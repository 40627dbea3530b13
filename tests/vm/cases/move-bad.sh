# Requests that cannot be carried out: each is refused with the path, the cause and the way out, and changes nothing.
# timeout: 240
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"

cg_create /g/a /g/a/inner/leaf /g/b /threaded /g/frozen /g/dying
cg_run /g/a/inner/leaf sleep 1000
INNER=$PID
cg_run /g/b sleep 1000

# refused TEXT ARGUMENTS…: with code 3 and that text; the process stays where it is.
refused() {
        _text=$1
        shift
        run_move 3 "$@"
        assert_in "$(cat error)" "$_text"
        note "$(cat error)"
        assert_eq "$(cg_of "$PID")" /g/b
}

# A child of the root may be threaded whatever the root has enabled.
echo threaded >"$CG/threaded/cgroup.type"
echo 1 >"$CG/g/frozen/cgroup.freeze"
wait_for 10 grep -q "frozen 1" "$CG/g/frozen/cgroup.events"
rmdir "$CG/g/dying"
picture /g /g/a /g/b /g/frozen >before

# targets
refused "NoSuchGroup /g/nowhere" /g/nowhere "$PID"
refused "BadPath" /g/../b "$PID"
refused "BadPath" g/b "$PID"
refused "BadPath" "" "$PID"
refused "BadPath" "/g/$(head -c 5000 /dev/zero | tr '\0' x)" "$PID"
refused "BadPath" "$(printf '/g/\377')" "$PID"
refused "BadPath" /g/cgroup.procs "$PID"
refused "BadTarget /g: cgroup.subtree_control enables" /g "$PID"
refused "BadTarget /threaded: cgroup.type is not 'domain'" /threaded "$PID"
refused "BadTarget /g/frozen: the target is frozen" /g/frozen "$PID"
refused "NoSuchGroup /g/dying" /g/dying "$PID"

picture /g /g/a /g/b /g/frozen >after
diff before after || fail "a refused move changed something"

# an ancestor with controllers is refused, a descendant that is a leaf is not
refused "BadTarget /g/a: cgroup.subtree_control enables" /g/a "$INNER"
echo "$INNER" >"$CG/g/a/inner/leaf/cgroup.procs"
run_move 0 /g/b "$INNER"
run_move 0 /g/a/inner/leaf "$INNER"
assert_eq "$(cg_of "$INNER")" /g/a/inner/leaf

# processes
refused "BadProcess /proc/0" /g/a/inner/leaf 0
refused "BadProcess /proc/1: 1" /g/a/inner/leaf 1
refused "BadProcess /proc/2: 2 (kthreadd) is a kernel thread" /g/a/inner/leaf 2
sh -c 'sleep 0 & exec sleep 1000' &
PARENT=$!
zombie() {
        ZOMBIE=$(pgrep -P $PARENT 2>/dev/null) && grep -q '^State:.Z' "/proc/$ZOMBIE/status"
}
wait_for 10 zombie
refused "is a zombie" /g/a/inner/leaf "$ZOMBIE"
kill $PARENT
sh -c 'exit 0' &
GONE=$!
wait $GONE
refused "NoSuchProcess" /g/a/inner/leaf "$GONE"
refused "NoSuchGroup /g/nowhere" --group /g/nowhere /g/a/inner/leaf

# no account of its own
echo "-memory" >"$CG/g/a/inner/cgroup.subtree_control"
refused "ControllerOff" /g/a/inner/leaf "$PID"
assert_in "$(cat error)" "subtree_control" "names the file"
run_move 0 --policy stay /g/a/inner/leaf "$PID"
assert_eq "$(cg_of "$PID")" /g/a/inner/leaf
run_move 0 --policy stay /g/b "$PID"

# nothing to do is no failure
run_move 0 /g/b "$PID"
assert_eq "$(result processes.0.outcome)" "already there"
cg_create /g/empty
run_move 0 --group /g/empty /g/b
assert_eq "$(result moved)" 0

# The mover is killed just after each step was journalled, and in the middle of recharging; another one recovers from the
# journal. It ends finished (all had arrived) or rolled back (they had not), and a second recovery changes nothing.
# timeout: 480
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"

MIB=1048576
ROUNDS=${ROUNDS:-5}
cg_create /g/a /g/b

die_and_recover() {
        rm -f journal
        run_move 137 --journal "$PWD/journal" --die-at "$1" "$3" /g/b "$PID"
        run_move 0 --recover "$PWD/journal"
        assert_eq "$(result state)" "$2" "after dying at '$1'"
}

start_writer /g/a small 48
for i in $(seq "$ROUNDS"); do
        for step in intent processes verify; do
                die_and_recover $step "rolled back" --tree
                assert_eq "$(cg_of "$PID")" /g/a "after dying at '$step'"
                soon stat_ge /g/a anon $((48 * MIB * 95 / 100)) "anon of the source"
        done
        for step in charges charges+ measure; do
                die_and_recover "$step" finished --tree
                assert_eq "$(cg_of "$PID")" /g/b "after dying at '$step'"
                soon stat_ge /g/b anon $((48 * MIB * 98 / 100)) "anon of the target"
                run_move 0 --recover "$PWD/journal"
                assert_eq "$(cg_of "$PID")" /g/b
                run_move 0 /g/a "$PID"
        done
        # killed while it was undoing a cancelled move
        for step in "rollback processes" "rollback charges"; do
                rm -f journal
                run_move 137 --journal "$PWD/journal" --cancel-at 40 --die-at "$step" /g/b "$PID"
                run_move 0 --recover "$PWD/journal"
                assert_eq "$(result state)" "rolled back" "after dying at '$step'"
                assert_eq "$(cg_of "$PID")" /g/a
                soon stat_ge /g/a anon $((48 * MIB * 95 / 100)) "anon of the source"
                run_move 0 --recover "$PWD/journal"
                assert_eq "$(cg_of "$PID")" /g/a
        done
        check_writer
done

# The target was removed since: nobody can be in it.
cg_create /g/gone
rm -f journal
run_move 137 --journal "$PWD/journal" --die-at intent /g/gone "$PID"
cg_remove /g/gone
run_move 0 --recover "$PWD/journal"
assert_eq "$(result state)" "rolled back"
assert_eq "$(result error.kind)" NoSuchGroup
assert_eq "$(cg_of "$PID")" /g/a

# Children born after the mover died go back with their parent; who has gone is passed over.
rm -f journal
run_move 137 --journal "$PWD/journal" --die-at verify /g/b "$PID"
cg_run /g/b sleep 1000
STRANGER=$PID
kill "$STRANGER"
run_move 0 --recover "$PWD/journal"
assert_eq "$(result state)" "rolled back"

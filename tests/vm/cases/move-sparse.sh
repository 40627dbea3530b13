# A heap with one page in every 2 MiB would grow by 512 times if it were collapsed: it is left alone and reported.
# Half of such a heap in every block is moved only where the kernel gives the holes back (6.12 and newer).
# timeout: 120
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"

# Pages on their way through per-CPU lists show no group yet.
SLACK=$(($(nproc) * 31))
cg_create /g/a /g/b

start_writer /g/a small 512 512
rss_before=$(rss_of "$PID")
run_move 0 --plan /g/b "$PID"
assert_ge "$(staying sparse)" $(((256 - SLACK) * 4096)) "reported as sparse by the plan"
assert_le "$(result growth_bytes)" $((rss_before / 100)) "growth by the plan"
run_move 0 /g/b "$PID"
assert_eq "$(result state)" finished
assert_ge "$(staying sparse)" $(((256 - SLACK) * 4096)) "reported as sparse by the result"
assert_le $(($(rss_of "$PID") - rss_before)) $((rss_before / 100)) "growth of the resident set"
assert_eq "$(cg_of "$PID")" /g/b
check_writer
stop_writer

# every second page: too many holes for the budget of 1 %
start_writer /g/a small 64 2
rss_before=$(rss_of "$PID")
run_move 0 /g/b "$PID"
assert_le $(($(rss_of "$PID") - rss_before)) $((rss_before / 100)) "growth of the resident set"
note "half full: moved $(result moved_bytes), sparse $(staying sparse)"
if [ "$KERNEL" = 6.1 ]; then
        assert_ge "$(staying sparse)" $((31 * 1048576)) "reported as sparse"
else
        assert_ge "$(result moved_bytes)" $((31 * 1048576)) "moved, and split again"
        soon stat_ge /g/b anon $((31 * 1048576)) "anon of the target"
fi
check_writer
stop_writer

# with as much growth as it takes, on any kernel
start_writer /g/a small 16 2
run_move 0 --growth 20000 /g/b "$PID"
soon stat_ge /g/b anon $((8 * 1048576)) "anon of the target"
check_writer
stop_writer

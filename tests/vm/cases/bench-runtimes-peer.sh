# systemd as PID 1, measured as bench-runtimes.sh measures chargehandd; figures in $OUT/systemd.
# timeout: 2400
# mem: 4096
# suite: bench
# boot: systemd
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/suites.sh"
. "$TESTS/runtimes.sh"

PROGRAM=$BIN/bench-runtimes
# emulation multiplies user space by 20 and more
SIZES=${BENCH_SIZES:-0 200} PIDS=${BENCH_PIDS:-100 500} N=${BENCH_N:-24} REPEAT=7 BENCH_ROUNDS=3

measure_memory 200 >"$OUT/systemd"
measure_runtimes >>"$OUT/systemd"
bundle /run/bench-bundle true
cd /run/bench-bundle || exit
measure_crun >>"$OUT/systemd"
cat "$OUT/systemd"

# chargehandd as org.freedesktop.systemd1 with all controllers at work; figures in $OUT/ours and $OUT/raw. bench-runtimes-peer.sh
# is the same for systemd, in a guest of its own; bench/rows-runtimes.sh compares.
# timeout: 1200
# mem: 4096
# suite: bench
# boot: own
# suites: trixie
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/suites.sh"
. "$TESTS/runtimes.sh"

PROGRAM=$BIN/bench-runtimes
# emulation multiplies user space by 20 and more
SIZES=${BENCH_SIZES:-0 200} PIDS=${BENCH_PIDS:-100 500} N=${BENCH_N:-24} REPEAT=7 BENCH_ROUNDS=3

start_face() {
        printf '[Runtime]\nSystemd1=yes\n' >"$TMPDIR/conf"
        start_daemon --config="$TMPDIR/conf"
        wait_for 30 bus_has org.freedesktop.systemd1
}

start_face
measure_memory 200 >"$OUT/ours"
stop_daemon
start_face
measure_runtimes >>"$OUT/ours"
suite_enter trixie
bundle /run/bench-bundle true
cd /run/bench-bundle || exit
measure_crun in_suite trixie >>"$OUT/ours"
measure_raw "$CG/bench-raw" >"$OUT/raw"
# without the grace period that each attach waits for, and a clone into the group does not
if mount -o remount,favordynmods "$CG"; then
        measure_crun in_suite trixie | sed 's/run/favor/' >>"$OUT/ours"
fi
cat "$OUT/ours" "$OUT/raw"

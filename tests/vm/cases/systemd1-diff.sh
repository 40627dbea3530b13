# The scripts of calls, played to chargehandd, and compared with what the real systemd said to them
# (systemd1-reference-*.txt, made by the case systemd1-reference). What differs must be in
# systemd1-differences.txt with its reason, and what is there must still differ.
#
#     chargehandd ── prog-systemd1 ── seen ═ reference + differences
# kernels: 7.2
# timeout: 600
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

# What is asked for in parts of all tasks goes by the memory of the guest; this is that of the reference's.
threads_max=$(cat /proc/sys/kernel/threads-max)
echo 15684 >/proc/sys/kernel/threads-max
printf '[Runtime]\nSystemd1=yes\nScopeLinger=0\n' >conf
start_daemon --config="$TMPDIR/conf"
wait_for 20 bus_has org.freedesktop.systemd1
rc=0
for script in calls life properties; do
        note "$script"
        "$BIN"/prog-systemd1 --slow "${SLOW:-1}" "$TESTS/systemd1-$script.txt" >>"$OUT/systemd1-seen.txt" || rc=$?
done
cp daemon.log "$OUT/systemd1-daemon.log"
echo "$threads_max" >/proc/sys/kernel/threads-max
assert_eq "$rc" 0 "exit code of prog-systemd1"
cat "$TESTS"/systemd1-reference-calls.txt "$TESTS"/systemd1-reference-life.txt "$TESTS"/systemd1-reference-properties.txt >reference
python3 "$TESTS/systemd1-compare.py" reference "$OUT/systemd1-seen.txt" \
        "$TESTS/systemd1-differences.txt" || fail "see above; all of it is in out/systemd1-seen.txt"
stop_daemon

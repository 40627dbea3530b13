# chargehandd uses chargehand.ko when it is there, and holds it only while it works: it may come and go under it.
# module: yes
# timeout: 240
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"

MIB=1048576
cg_create /g/a /g/b

status_is() {
        chargectl status >status
        assert_in "$(grep Module: status)" "$1" "status"
}

start_daemon
status_is "not loaded"
status_is "modprobe chargehand"
chargectl status --json=short | grep -q '"module":{"state":"not loaded"' || fail "the module is not in the JSON"
start_writer /g/a disabled 16
chargectl plan "$PID" /g/b | tee plan
assert_in "$(cat plan)" "huge pages forbidden"
assert_in "$(cat plan)" "load the kernel module"

module_load
status_is move
chargectl plan "$PID" /g/b | tee plan
assert_in "$(cat plan)" module
chargectl map "$PID" | tee map
assert_in "$(cat map)" /g/a
chargectl move "$PID" /g/b | tee moved
assert_in "$(cat moved)" module
assert_in "$(cat moved)" finished
soon stat_ge /g/b anon $((16 * MIB))
soon stat_le /g/a anon 0
check_writer

# a user may not ask for what others share
assert_fails as_tester chargectl move --with-shared "$PID" /g/a
assert_in "$ERR" "only root may move memory that others share"

# idle, it holds nothing
module_unload
status_is "not loaded"
chargectl move "$PID" /g/a >moved || [ $? -eq 6 ]
cat moved
assert_eq "$(cg_of "$PID")" /g/a
module_load
chargectl move "$PID" /g/b
chargectl move "$PID" /g/a | tee moved
assert_in "$(cat moved)" module
soon stat_le /g/b anon 0

# only what is configured
chargectl move --backend=collapse "$PID" /g/b >moved || [ $? -eq 6 ]
soon stat_ge /g/a anon $((16 * MIB))

# read-only: it maps, and says why it does not move
module_unload
module_load read_only=1
status_is "read-only: asked for by the parameter read_only=1"
chargectl plan "$PID" /g/a
chargectl map "$PID"
check_writer
stop_writer
stop_daemon
chargectl --direct status | grep Module:
module_unload
module_clean

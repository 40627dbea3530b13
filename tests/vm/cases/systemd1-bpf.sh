# Programs of BPF at scopes: a runtime's own (BPFProgram), and ours for DevicePolicy= and DeviceAllow=.
#
#     bpffs/pinned ── BPFProgram ──▶ a.scope ◀── chargehand_dev ── DevicePolicy, DeviceAllow
#                                      │ both must allow
#                                      └─ open("/dev/…")
# timeout: 60
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

PINS=/sys/fs/bpf

# manager METHOD SIGNATURE ARGUMENT…
manager() {
        busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager "$@"
}

# start_scope UNIT N PROPERTY SIGNATURE VALUE…: with a process that sleeps, in $PID
start_scope() {
        _unit=$1
        _n=$2
        shift 2
        sleep 1000 &
        PID=$!
        manager StartTransientUnit 'ssa(sv)a(sa(sv))' "$_unit" fail $((_n + 1)) PIDs au 1 $PID "$@" 0 >/dev/null ||
                fail "$_unit is not started"
        wait_for 10 is_in "/system.slice/$_unit"
}

is_in() {
        [ "$(cg_of "$PID")" = "$1" ]
}

set_properties() {
        _unit=$1
        shift
        manager SetUnitProperties 'sba(sv)' "$_unit" true "$@" >/dev/null || fail "$_unit: not set: $*"
}

# opens UNIT: those of the devices that a process in it may open
opens() {
        sh -c 'echo $$ >"$0/cgroup.procs"
                for d in null zero random; do
                        (: <"/dev/$d") && printf "%s " "$d"
                done
                true' "$CG/system.slice/$1" 2>/dev/null
}

programs() {
        "$BIN"/prog-device-program list "$CG/system.slice/$1" | sort | tr '\n' ' '
}

grep -q " $PINS bpf " /proc/mounts || mount -t bpf bpf "$PINS" || skip "no bpf file system"
"$BIN"/prog-device-program pin pinned "$PINS/pinned"

printf '[Runtime]\nSystemd1=yes\nDefaultSlice=system.slice\n' >conf
start_daemon --config="$TMPDIR/conf"
wait_for 20 bus_has org.freedesktop.systemd1

note "a pinned program is attached before the job is done, and counts"
start_scope a.scope 1 BPFProgram 'a(ss)' 1 device "$PINS/pinned"
assert_eq "$(programs a.scope)" "pinned "
assert_eq "$(opens a.scope)" "null zero "

note "ours comes beside it, and is replaced by each change"
set_properties a.scope 2 DevicePolicy s strict DeviceAllow 'a(ss)' 1 /dev/null rw
assert_eq "$(programs a.scope)" "chargehand_dev pinned "
assert_eq "$(opens a.scope)" "null "
set_properties a.scope 1 DeviceAllow 'a(ss)' 1 char-mem rw
assert_eq "$(programs a.scope)" "chargehand_dev pinned "
assert_eq "$(opens a.scope)" "null zero "
set_properties a.scope 2 DeviceAllow 'a(ss)' 0 DevicePolicy s auto
assert_eq "$(programs a.scope)" "pinned "
set_properties a.scope 1 TasksMax t 10
assert_eq "$(programs a.scope)" "pinned "

note "without a program of the runtime's, from the start"
start_scope b.scope 3 DevicePolicy s strict DeviceAllow 'a(ss)' 1 /dev/zero r DeviceAllow 'a(ss)' 1 /dev/char/1:8 m
assert_eq "$(programs b.scope)" "chargehand_dev "
assert_eq "$(opens b.scope)" "zero "
set_properties b.scope 1 DevicePolicy s closed
assert_eq "$(opens b.scope)" "null zero random "

note "a runtime that puts its own in place of ours is left in peace"
"$BIN"/prog-device-program replace theirs "$CG/system.slice/b.scope"
set_properties b.scope 2 DevicePolicy s strict DeviceAllow 'a(ss)' 0
assert_eq "$(programs b.scope)" "theirs "
assert_eq "$(opens b.scope)" "null zero "

note "a daemon that is started again finds its own"
start_scope c.scope 1 DevicePolicy s strict
assert_eq "$(opens c.scope)" ""
stop_daemon KILL
start_daemon --config="$TMPDIR/conf"
wait_for 20 bus_has org.freedesktop.systemd1
set_properties c.scope 1 DeviceAllow 'a(ss)' 1 /dev/zero rw
assert_eq "$(programs c.scope)" "chargehand_dev "
assert_eq "$(opens c.scope)" "zero "

note "what is not there, or is no program, is told"
assert_fails manager StartTransientUnit 'ssa(sv)a(sa(sv))' d.scope fail 1 BPFProgram 'a(ss)' 1 devices "$PINS/pinned" 0
assert_in "$ERR" "expects a valid BPF attach type, got 'devices'"
sleep 1000 &
manager StartTransientUnit 'ssa(sv)a(sa(sv))' e.scope fail 2 PIDs au 1 $! BPFProgram 'a(ss)' 1 device "$PINS/none" 0 >/dev/null
wait_for 10 grep -q "e.scope: BPFProgram $PINS/none: cannot open it: No such file or directory" daemon.log
rm "$PINS/pinned"

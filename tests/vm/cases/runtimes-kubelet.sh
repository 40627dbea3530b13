# What a kubelet does by the bus: nested slices without processes, made again and again, with limits; containers by runc in them.
#
#     /kubepods.slice
#     └── kubepods-burstable.slice
#         └── kubepods-burstable-pod12_34.slice     memory.max 256M
#             ├── box-c1.scope                      runc
#             └── foreign                           made by hand, as CRI-O does for its sandboxes
# timeout: 180
# kernels: 7.2
# suites: trixie
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/suites.sh"
. "$TESTS/containers.sh"

BURSTABLE=/kubepods.slice/kubepods-burstable.slice
POD=$BURSTABLE/kubepods-burstable-pod12_34.slice

# slice_create UNIT PARENT: as opencontainers/cgroups does it for a kubelet, pid -1
slice_create() {
        systemd1 StartTransientUnit 'ssa(sv)a(sa(sv))' "$1" replace 7 Description s "libcontainer container $1" \
                Wants as 1 "$2" MemoryAccounting b true CPUAccounting b true IOAccounting b true TasksAccounting b true \
                DefaultDependencies b false 0 >/dev/null
}

# slice_limits UNIT MEMORY WEIGHT PIDS
slice_limits() {
        systemd1 SetUnitProperties 'sba(sv)' "$1" true 3 MemoryMax t "$2" CPUWeight t "$3" TasksMax t "$4"
}

# Controllers that libcontainer enabled by hand are its own.
enable_by_hand() {
        for _c in $(cg_read / cgroup.controllers); do
                echo "+$_c" >"$CG$1/cgroup.subtree_control" 2>/dev/null || true
        done
}

# A stopped slice may stay in the list as long as somebody else's processes are in its group.
pod_is_stopped() {
        [ "$(unit_get kubepods-burstable-pod12_34.slice ActiveState)" != active ]
}

# systemd removes what is left of a stopped slice with all that is empty in it.
foreign_is_empty() {
        cg_is_gone $POD/foreign || grep -q 'populated 0' "$CG$POD/foreign/cgroup.events"
}

start_face

note "slices, made twice"
slice_create kubepods.slice -.slice
slice_create kubepods-burstable.slice kubepods.slice
slice_create kubepods-burstable-pod12_34.slice kubepods-burstable.slice
wait_for 10 cg_exists $POD
for unit in kubepods.slice kubepods-burstable.slice kubepods-burstable-pod12_34.slice; do
        assert_fails slice_create $unit -.slice
        assert_in "$ERR" "already loaded or has a fragment file" "second start of $unit"
        assert_eq "$(unit_get $unit ActiveState)" active
done
for g in /kubepods.slice $BURSTABLE $POD; do enable_by_hand $g; done
before=$(cg_read $BURSTABLE cgroup.subtree_control)

note "limits"
slice_limits kubepods.slice 1073741824 100 1000
slice_limits kubepods-burstable-pod12_34.slice 268435456 79 200
assert_eq "$(cg_read /kubepods.slice memory.max)" 1073741824
assert_eq "$(cg_read $POD memory.max)" 268435456
assert_eq "$(cg_read $POD cpu.weight)" 79
assert_eq "$(cg_read $POD pids.max)" 200
systemd1 SetUnitProperties 'sba(sv)' kubepods-burstable-pod12_34.slice true 0
slice_limits kubepods-burstable-pod12_34.slice 134217728 79 300
assert_eq "$(cg_read $POD memory.max)" 134217728
assert_eq "$(unit_get kubepods-burstable-pod12_34.slice MemoryMax)" 134217728
assert_eq "$(unit_get kubepods-burstable-pod12_34.slice TasksMax)" 300

note "a container in the pod, and a foreign group beside it"
SUITE=trixie RUNTIME=runc
suite_enter $SUITE
bundle "$TMPDIR/b" 'trap "exit 0" TERM; sleep 1000 & wait' kubepods-burstable-pod12_34.slice:box:c1 "$(limits 67108864 50000 512 50)"
runtime run -d -b "$TMPDIR/b" --pid-file "$TMPDIR/pid" c1 </dev/null >"$TMPDIR/box.log" 2>&1 || fail "run: $(cat "$TMPDIR/box.log")"
assert_eq "$(cg_of "$(cat "$TMPDIR/pid")")" $POD/box-c1.scope
check_limits $POD/box-c1.scope $POD/box-c1.scope 67108864 50000 50
mkdir "$CG$POD/foreign"
cg_run $POD/foreign sleep 300
FOREIGN=$PID
assert_eq "$(cg_read $POD memory.max)" 134217728 "memory.max of the pod after a container came"
for c in $before; do
        assert_in " $(cg_read $BURSTABLE cgroup.subtree_control) " " $c " "controllers below the class"
done
runtime delete -f c1
nothing_left 'box-*' $POD/box-c1.scope

note "the end of the pod, while the foreign group is still in use"
systemd1 StopUnit ss kubepods-burstable-pod12_34.slice replace >/dev/null
wait_for 10 pod_is_stopped
assert_eq "$(cg_of "$FOREIGN")" $POD/foreign "group of a process that is not the manager's"
kill "$FOREIGN"
wait_for 10 foreign_is_empty
rmdir "$CG$POD/foreign" 2>/dev/null || cg_is_gone $POD/foreign || fail "$POD/foreign cannot be removed"
# a kubelet removes what is left by itself; the manager may have been faster
rmdir "$CG$POD" 2>/dev/null || cg_is_gone $POD || fail "$POD cannot be removed"
wait_for 20 has_no_unit 'kubepods-burstable-pod*'
for c in $before; do
        assert_in " $(cg_read $BURSTABLE cgroup.subtree_control) " " $c " "controllers below the class"
done
assert_eq "$(cg_read /kubepods.slice memory.max)" 1073741824 "memory.max of the rest"

note "and once more, as a kubelet that starts again would"
slice_create kubepods-burstable-pod12_34.slice kubepods-burstable.slice
wait_for 10 cg_exists $POD
assert_eq "$(cg_read $POD memory.max)" max "memory.max of a new pod of the same name"
systemd1 StopUnit ss kubepods-burstable-pod12_34.slice replace >/dev/null
nothing_left 'kubepods-burstable-pod*' $POD

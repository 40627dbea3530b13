# A user without privileges: an instance of his own on a session bus of his own, in the subtree that the system's instance gave
# him; crun and podman rootless in it.
#
#     /user.slice/user-1000.slice/user@1000.service      made and delegated by the system's chargehandd (Users=tester)
#         ├── init.scope                                 chargehandd --user
#         └── user.slice
#             ├── box-one.scope/container                crun; its process came from outside of the subtree
#             └── libpod-ID.scope                        podman
# timeout: 240
# kernels: 7.2
# mem: 3072
# suites: trixie
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/suites.sh"
. "$TESTS/containers.sh"

TREE=/user.slice/user-1000.slice/user@1000.service
RUN=/run/user/1000
SUITE=trixie RUNTIME=crun

# as_user COMMAND…: in this guest, with the user's session
as_user() {
        as_tester env HOME=/run/user/home XDG_RUNTIME_DIR=$RUN DBUS_SESSION_BUS_ADDRESS=unix:path=$RUN/bus "$@"
}

# in_session COMMAND…: the same in the suite
in_session() {
        SUITE_ENV="HOME=/run/user/home XDG_RUNTIME_DIR=$RUN DBUS_SESSION_BUS_ADDRESS=unix:path=$RUN/bus" \
                in_suite $SUITE setpriv --reuid=1000 --regid=1000 --init-groups --inh-caps=-all "$@"
}

runtime() {
        in_session "$RUNTIME" --systemd-cgroup "$@"
}

user_get() {
        as_user busctl --user get-property org.freedesktop.systemd1 "$@" | cut -d' ' -f2- | tr -d '"'
}

user_has_unit() {
        case $(as_user busctl --user -- call $SYSTEMD1 ListUnitsByPatterns asas 0 1 "$1") in
        *"(ssssssouso) 0") return 1 ;;
        esac
}

user_has_no_unit() {
        ! user_has_unit "$1"
}

user_manager_answers() {
        user_get /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager Version | grep -q chargehand
}

start_face 'Users=tester'
wait_for 10 cg_exists $TREE
assert_eq "$(stat -c %u "$CG$TREE")" 1000 "owner of the user's subtree"

mkdir -p $RUN /run/user/home
chown 1000:1000 $RUN /run/user/home
chmod 700 $RUN
as_user dbus-daemon --session --address=unix:path=$RUN/bus --nofork --nopidfile >"$TMPDIR/bus.log" 2>&1 &
wait_for 20 test -S $RUN/bus
as_user chargehandd --user >"$TMPDIR/user.log" 2>&1 &
wait_for 30 user_manager_answers
assert_eq "$(user_get /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager ControlGroup)" $TREE "ControlGroup"
assert_in "$(cg_of "$(pgrep -f 'chargehandd --user' | tail -n 1)")" $TREE/init.scope "group of the user's instance"
[ -S $RUN/systemd/private ] || fail "no private socket of the user"

suite_enter $SUITE
chmod 755 "$TMPDIR"
note "crun: $(in_suite $SUITE crun --version | head -n 1)"
scope=$TREE/user.slice/box-one.scope
BUNDLE_UID=1000
export BUNDLE_UID
bundle "$TMPDIR/b" 'trap "exit 0" TERM; sleep 1000 & wait' user.slice:box:one '{"memory":{"limit":67108864},"pids":{"limit":50}}'
chown -R 1000:1000 "$TMPDIR/b"
runtime run -d -b "$TMPDIR/b" --pid-file "$TMPDIR/b/pid" one </dev/null >"$TMPDIR/box.log" 2>&1 ||
        fail "run: $(cat "$TMPDIR/box.log" "$TMPDIR/user.log")"
PID=$(cat "$TMPDIR/b/pid")
assert_eq "$(cg_of "$PID")" $scope/container "group of the container"
assert_eq "$(cg_read $scope memory.max)" 67108864 "memory.max of the scope"
assert_eq "$(cg_read $scope/container pids.max)" 50 "pids.max of the container"
assert_eq "$(user_get "$(unit_path box-one.scope)" org.freedesktop.systemd1.Scope MemoryMax)" 67108864 "MemoryMax"
# The kernel lets a user move processes only below what is his: crun has to be in the subtree itself when it execs.
assert_eq "$(in_session systemd-run --user --scope --quiet "$RUNTIME" --systemd-cgroup exec one /bin/echo inside)" inside "output of exec"
runtime update --memory 100663296 one
assert_eq "$(cg_read $scope memory.max)" 100663296 "memory.max of the scope"
runtime pause one
assert_eq "$(cg_key $scope/container cgroup.events frozen)" 1 "frozen"
runtime resume one
runtime kill one TERM
wait_for 20 status_is one stopped
runtime delete one
wait_for 20 cg_is_gone $scope
wait_for 20 user_has_no_unit 'box-*'

note "podman: $(in_session podman --version)"
podman() {
        in_session podman --storage-driver vfs --runtime crun --cgroup-manager systemd "$@"
}
podman import /srv/rootfs.tar box 2>/dev/null
id=$(podman run -d --name one --memory 64m --pids-limit 50 box /bin/sh -c 'trap "exit 0" TERM; sleep 1000 & wait')
PID=$(podman inspect -f '{{.State.Pid}}' one)
assert_eq "$(cg_of "$PID")" "$TREE/user.slice/libpod-$id.scope/container" "group of the container"
assert_eq "$(cg_read "$TREE/user.slice/libpod-$id.scope/container" memory.max)" 67108864 "memory.max"
assert_eq "$(podman exec one /bin/echo inside)" inside
podman stop -t 5 one >/dev/null
podman rm one >/dev/null
wait_for 20 cg_is_gone "$TREE/user.slice/libpod-$id.scope"
wait_for 20 user_has_no_unit "libpod-$id.scope"
pod=$(podman pod create --name pod --memory 128m)
slice=$TREE/user.slice/user-libpod_pod_$pod.slice
assert_eq "$(cg_read "$slice" memory.max)" 134217728 "memory.max of the pod"
podman run --rm --pod pod box /bin/echo finished >/dev/null
podman pod rm -f -t 1 pod >/dev/null
wait_for 20 cg_is_gone "$slice"

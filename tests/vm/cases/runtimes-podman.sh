# podman with both runtimes and systemd's cgroup manager: containers with limits, exec, stats, update, pods, an OOM kill.
#
#     /machine.slice/libpod-ID.scope              the container, made by the runtime
#                    libpod-conmon-ID.scope       its monitor, made by podman
#                    machine-libpod_pod_ID.slice  a pod, made by podman
# timeout: 300
# kernels: 7.2
# mem: 3072
# suites: trixie
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/suites.sh"
. "$TESTS/containers.sh"

podman() {
        in_suite "$SUITE" podman --runtime "$RUNTIME" --cgroup-manager systemd "$@"
}

# scope_of ID: where the limits of its container are
leaf_of() {
        case $RUNTIME in
        crun) echo "/machine.slice/libpod-$1.scope/container" ;;
        *) echo "/machine.slice/libpod-$1.scope" ;;
        esac
}

no_libpod_left() {
        nothing_left 'libpod-*' "/machine.slice/libpod-$1.scope"
        nothing_left 'libpod-conmon-*' "/machine.slice/libpod-conmon-$1.scope"
}

one_container() {
        id=$(podman run -d --name one --memory 64m --cpus 0.5 --pids-limit 50 --cpuset-cpus 0 --blkio-weight 200 box \
                /bin/sh -c 'trap "exit 0" TERM; sleep 1000 & wait')
        leaf=$(leaf_of "$id")
        PID=$(podman inspect -f '{{.State.Pid}}' one)
        assert_eq "$(cg_of "$PID")" "$leaf" "group of the container"
        assert_eq "$(cg_read "$leaf" memory.max)" 67108864 "memory.max"
        assert_eq "$(cg_read "$leaf" cpu.max)" "50000 100000" "cpu.max"
        assert_eq "$(cg_read "$leaf" pids.max)" 50 "pids.max"
        assert_eq "$(cg_read "$leaf" cpuset.cpus)" 0 "cpuset.cpus"
        assert_ne "$(cg_read "$leaf" io.weight)" "default 100" "io.weight"
        assert_eq "$(unit_get "libpod-$id.scope" MemoryMax)" 67108864 "MemoryMax"
        assert_eq "$(unit_get "libpod-$id.scope" TasksMax)" 50 "TasksMax"
        assert_eq "$(unit_get "libpod-$id.scope" AllowedCPUs | cut -d' ' -f2)" 1 "first byte of AllowedCPUs"
        conmon=$(podman inspect -f '{{.State.ConmonPid}}' one)
        assert_eq "$(cg_of "$conmon")" "/machine.slice/libpod-conmon-$id.scope" "group of conmon"

        assert_eq "$(podman exec one /bin/echo inside)" inside "output of exec"
        podman exec -d one /bin/sleep 1001 >/dev/null
        assert_ge "$(cg_read "$leaf" pids.current)" 3 "pids.current with what exec started"
        assert_eq "$(podman stats --no-stream --format '{{.PIDS}}' one)" "$(cg_read "$leaf" pids.current)" "PIDS of stats"

        podman update --memory 96m --pids-limit 70 one >/dev/null
        assert_eq "$(cg_read "$leaf" memory.max)" 100663296 "memory.max after update"
        assert_eq "$(unit_get "libpod-$id.scope" MemoryMax)" 100663296 "MemoryMax after update"
        podman pause one >/dev/null
        assert_eq "$(cg_key "$leaf" cgroup.events frozen)" 1 "frozen"
        podman unpause one >/dev/null
        assert_eq "$(cg_key "$leaf" cgroup.events frozen)" 0 "frozen"
        podman restart -t 5 one >/dev/null
        assert_eq "$(cg_of "$(podman inspect -f '{{.State.Pid}}' one)")" "$leaf" "group after restart"
        podman kill -s TERM one >/dev/null
        podman wait one >/dev/null
        podman rm one >/dev/null
        no_libpod_left "$id"
}

one_pod() {
        pod=$(podman pod create --name pod --memory 128m --cpus 0.75)
        slice=/machine.slice/machine-libpod_pod_$pod.slice
        assert_eq "$(cg_read "$slice" memory.max)" 134217728 "memory.max of the pod"
        assert_eq "$(cg_read "$slice" cpu.max)" "75000 100000" "cpu.max of the pod"
        id=$(podman run -d --pod pod --memory 64m box /bin/sh -c 'trap "exit 0" TERM; sleep 1000 & wait')
        PID=$(podman inspect -f '{{.State.Pid}}' "$id")
        assert_in "$(cg_of "$PID")" "$slice/libpod-$id.scope" "group of a container in the pod"
        podman pod stats --no-stream --format '{{.CID}}' pod >"$TMPDIR/stats"
        assert_eq "$(grep -c '^[0-9a-f]\{12\}' "$TMPDIR/stats")" 2 "containers in pod stats"
        podman pod rm -f -t 1 pod >/dev/null
        nothing_left 'machine-libpod_pod_*' "$slice"
}

out_of_memory() {
        _rc=0
        id=$(podman create --name eater --memory 24m --memory-swap 24m box /bin/dd if=/dev/zero of=/dev/null bs=256M count=1)
        podman start -a eater >"$TMPDIR/eater" 2>&1 || _rc=$?
        assert_eq "$_rc" 137 "exit code of what the OOM killer took ($(cat "$TMPDIR/eater"))"
        assert_eq "$(podman inspect -f '{{.State.OOMKilled}}' eater)" true "OOMKilled"
        podman rm eater >/dev/null
        no_libpod_left "$id"
}

# docs/runtimes.md: health checks want timers from what they take for systemd
health_check() {
        printf '[engine]\nenv = ["DISABLE_HC_SYSTEMD=true"]\n' >"$TMPDIR/override.conf"
        SUITE_ENV="CONTAINERS_CONF_OVERRIDE=$TMPDIR/override.conf"
        id=$(podman run -d --name healthy --health-cmd /bin/true box /bin/sh -c 'trap "exit 0" TERM; sleep 1000 & wait')
        podman healthcheck run healthy
        podman rm -f -t 5 healthy >/dev/null
        SUITE_ENV=
        no_libpod_left "$id"
}

start_face 'ScopeLinger=2s'
for SUITE in ${SUITES:-trixie}; do
        suite_enter "$SUITE"
        in_suite "$SUITE" podman import /srv/rootfs.tar box 2>/dev/null
        for RUNTIME in ${RUNTIMES:-crun runc}; do
                note "$SUITE: $(in_suite "$SUITE" podman --version), $RUNTIME"
                one_container
                one_pod
                out_of_memory
        done
        health_check
done

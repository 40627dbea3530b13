# Verbs of the cases about container runtimes: `. "$TESTS/suites.sh"` after lib.sh; needs a `# suites:` line.
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh

# Whether the guest is one of `# boot: systemd`.
under_systemd() {
        grep -q chargehand.systemd /proc/cmdline
}

# suite_mount SUITE: its disk, known by its serial number, on /suites/SUITE.
suite_mount() {
        ! mountpoint -q "/suites/$1" || return 0
        for _c in /sys/class/nvme/nvme*; do
                [ "$(tr -d ' ' <"$_c/serial")" = "suite-$1" ] || continue
                mkdir -p "/suites/$1"
                mount "/dev/${_c##*/}n1p1" "/suites/$1" || fail "cannot mount the disk of $1"
                return 0
        done
        skip "no disk of $1 in this guest: the case needs '# suites: $1' or --env SUITES=$1"
}

# suite_enter SUITE: makes its root one to run things in, with an empty store for podman. Not a chroot: no user
# namespace can be made in one.
suite_enter() {
        if under_systemd && grep -q "^VERSION_CODENAME=$1\$" /etc/os-release; then
                echo 1 >"/run/suite-$1"
                return
        fi
        suite_mount "$1"
        modprobe -q overlay || true
        rm -rf /run/crun /run/runc /run/containers /run/libpod
        rm -f "/run/suite-$1"
        unshare --mount --propagation private sh -euc '
                root=/suites/$1
                for d in run sys proc dev tmp; do mount --rbind /$d "$root/$d"; done
                mkdir -p "$root/var/lib/containers"
                mount -t tmpfs -o mode=755 tmpfs "$root/var/lib/containers"
                cd "$root"
                mkdir -p mnt
                pivot_root . mnt
                umount -l /mnt
                echo $$ >"/run/suite-$1"
                exec sleep infinity' sh "$1" &
        wait_for 10 test -s "/run/suite-$1"
}

# in_suite SUITE COMMAND…: with the environment of a plain root login there, in the same working directory (below /tmp or
# /run). SUITE_ENV may add variables. What hangs for two minutes (SUITE_TIMEOUT) is ended with code 124.
in_suite() {
        _s=$1
        shift
        nsenter --mount="/proc/$(cat "/run/suite-$_s")/ns/mnt" env -i -C "$PWD" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
                HOME=/root LC_ALL=C.UTF-8 TERM=dumb ${SUITE_ENV:-} \
                timeout -k 5 "$(awk -v t="${SUITE_TIMEOUT:-120}" -v f="${SLOW:-1}" 'BEGIN { print t * f }')" "$@"
}

# bundle DIRECTORY COMMAND [CGROUPSPATH [RESOURCES-JSON [ANNOTATIONS-JSON]]]: an OCI bundle over the busybox root; with
# BUNDLE_UID in the environment for a container that this user runs.
bundle() {
        mkdir -p "$1"
        python3 - "$@" >"$1/config.json" <<'PYTHON'
import json, os, sys
directory, command, path, resources, annotations = (sys.argv[1:] + ["", "", ""])[:5]
spaces = ["pid", "ipc", "uts", "mount", "cgroup"]
linux = {"namespaces": [{"type": t} for t in spaces], "resources": json.loads(resources or "{}")}
if path:
    linux["cgroupsPath"] = path
uid = int(os.environ.get("BUNDLE_UID", "0"))
if uid:
    linux["namespaces"].append({"type": "user"})
    linux["uidMappings"] = linux["gidMappings"] = [{"containerID": 0, "hostID": uid, "size": 1}]
mount = lambda kind, where, *options: {"type": kind, "source": kind, "destination": where, "options": list(options)}
print(json.dumps({
    "ociVersion": "1.0.2",
    "process": {"terminal": False, "user": {"uid": 0, "gid": 0}, "cwd": "/", "args": ["/bin/sh", "-c", command],
                "env": ["PATH=/bin"], "noNewPrivileges": True},
    "root": {"path": "/srv/rootfs", "readonly": True},
    "hostname": "box",
    "mounts": [mount("proc", "/proc"), mount("tmpfs", "/dev", "nosuid", "mode=755"), mount("tmpfs", "/tmp")]
              + ([] if uid else [mount("cgroup", "/sys/fs/cgroup", "ro")]),
    "linux": linux,
    "annotations": json.loads(annotations or "{}"),
}, indent=1))
PYTHON
}

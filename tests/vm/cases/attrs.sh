# Every row of the attribute table against this kernel, and what becomes of reads, writes, ids, limits and
# groups that go away. A file that is absent must be newer than the kernel or left out of Debian's build.
# timeout: 120
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

for check in table rollback keyed id gone limits controllers read-only walk probe nonblock unprivileged storm namespace; do
        "$BIN"/prog-attrs "$check"
done

note "no hierarchy at all"
unshare -m sh -ec 'umount /sys/fs/cgroup; exec "$1"/prog-attrs open-fails "no cgroup2 file system is mounted"' - "$BIN"

# Lists of mounts as a cgroup v1 host has them, laid over those of one process; exec keeps its pid.
note "a cgroup v1 host"
cat >mounts <<'LIST'
proc /proc proc rw 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0
LIST
cat >mountinfo <<'LIST'
20 1 0:20 / /proc rw - proc proc rw
30 1 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
LIST
printf '#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t5\t2\t1\n' >cgroups
unshare -m sh -ec '
        umount /sys/fs/cgroup
        mount -t tmpfs none /sys/fs/cgroup
        mkdir /sys/fs/cgroup/memory
        mount --bind mountinfo /proc/$$/mountinfo
        mount --bind mounts /proc/$$/mounts
        mount --bind cgroups /proc/cgroups
        exec "$1"/prog-attrs open-fails "on the v1 hierarchy /sys/fs/cgroup/memory: boot with cgroup_no_v1=memory"
' - "$BIN"

# The guest is what the other cases count on: kernel, controllers, page maps, swap, huge pages, bus.
# timeout: 90
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

note "kernel $(uname -r), $(nproc) CPUs, $(awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo) MiB, $ACCEL"
assert_in "$(uname -r)" "$KERNEL." "kernel release"

# The whole hierarchy is v2 and nobody but us uses it.
assert_eq "$(stat -f -c %T /sys/fs/cgroup)" cgroup2fs "file system of /sys/fs/cgroup"
for c in cpu cpuset io memory pids; do
        assert_in " $(cg_read / cgroup.controllers) " " $c " "controllers"
        assert_in " $(cg_read / cgroup.subtree_control) " " $c " "controllers enabled for children"
done

# A group can be made, entered, charged, left and removed.
cg_create /smoke/leaf
cg_run /smoke/leaf sleep 100
assert_eq "$(cg_of "$PID")" /smoke/leaf "group of the sleeper"
assert_ge "$(cg_read /smoke/leaf memory.current)" 4096 "memory.current"
# Small changes reach memory.stat only with the kernel's flush every two seconds.
wait_for 15 sh -c '[ "$(awk "/^anon / { print \$2 }" /sys/fs/cgroup/smoke/leaf/memory.stat)" -ge 4096 ]'
cg_write /smoke cgroup.kill 1
wait_for 10 sh -c 'grep -q "populated 0" /sys/fs/cgroup/smoke/cgroup.events'
cg_remove /smoke
cg_exists /smoke && fail "/smoke is still there"

# What the charge map and the recharging need.
[ -r /proc/kpagecgroup ] || fail "no /proc/kpagecgroup (CONFIG_PROC_PAGE_MONITOR)"
[ -r /proc/kpagecount ] || fail "no /proc/kpagecount"
assert_in "$(cat /sys/kernel/mm/transparent_hugepage/enabled)" madvise "transparent huge pages"
assert_in "$(cat /proc/swaps)" /dev/zram0 "swap"

bus_has org.freedesktop.DBus || fail "the system bus does not answer"
redis-server --version

# What we built finds its libraries here: a new dependency has to be named in tools/rootfs.sh.
for f in "$BIN"/*; do
        case $(/lib64/ld-linux-x86-64.so.2 --list "$f" 2>&1) in
        *"not found"*) fail "$f: $(ldd "$f" 2>&1 | grep 'not found' | head -n 3)" ;;
        esac
done

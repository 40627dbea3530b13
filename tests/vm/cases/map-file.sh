# Files written by members of /a are mapped by a process of /b: page cache and tmpfs stay on the account of /a.
# timeout: 120
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

MIB=1048576
# Pages that sit in per-CPU batches show no group yet.
SLACK=$(($(nproc) * 31 * 4096))
MAP=$TMPDIR/map
READY=$TMPDIR/ready

row() {
        awk -v g="$1" -v k="$2" '$1 == "row" && $2 == g && $3 == k { n = $4 } END { print n + 0 }' "$MAP"
}

has_line() {
        grep -qx "$1" "$READY"
}

# file_of_a PATH: 8 MiB, written by a member of /a.
file_of_a() {
        sh -c 'echo 0 >/sys/fs/cgroup/a/cgroup.procs && exec dd if=/dev/urandom of="$0" bs=1M count=8 status=none' "$1"
}

# map_in_b PATH
map_in_b() {
        : >"$READY"
        cg_run /b prog-memory "$READY" file "$1"
        wait_for 20 has_line read
        prog-map pid "$PID" >"$MAP"
        cat "$MAP"
}

# On 7.2 khugepaged collapses read-only mappings of files, too: into new pages on the account of the mapper's group, and
# unmapped until the next access. Seen here as 4 MiB that went from /a to /b by themselves.
THP=/sys/kernel/mm/transparent_hugepage/enabled
was=$(sed 's/.*\[\(.*\)\].*/\1/' "$THP")
trap 'echo "$was" >"$THP"' EXIT
echo never >"$THP"

is_shared_memory() {
        assert_ge "$(row /a shmem)" $((8 * MIB - SLACK)) "tmpfs"
        assert_le "$(row /a shmem)" $((8 * MIB)) "tmpfs"
}

cg_create /a /b
# the cases' own directory may be of any file system: this one is the disk
mkdir -p /var/tmp/map-file "$TMPDIR/tmpfs"
file_of_a /var/tmp/map-file/data
map_in_b /var/tmp/map-file/data
assert_ge "$(row /a file)" $((8 * MIB - SLACK)) "page cache"
assert_le "$(row /a file)" $((9 * MIB)) "page cache"
assert_eq "$(row /a shmem)" 0 "shared memory"

mount -t tmpfs none "$TMPDIR/tmpfs"
file_of_a "$TMPDIR/tmpfs/data"
map_in_b "$TMPDIR/tmpfs/data"
is_shared_memory
assert_le "$(row /a file)" $((1 * MIB)) "page cache"

# A tmpfs that our mount table does not show: the pages tell.
umount -l "$TMPDIR/tmpfs"
prog-map pid "$PID" >"$MAP"
cat "$MAP"
is_shared_memory

prog-map group /b >"$MAP"
cat "$MAP"
# both files, and the libraries that the guest loaded before
assert_ge "$(awk '/^figure elsewhere/ { print $3 }' "$MAP")" $((16 * MIB - 2 * SLACK)) elsewhere
assert_le "$(awk '/^figure elsewhere/ { print $3 }' "$MAP")" $((24 * MIB)) elsewhere
rm -r /var/tmp/map-file

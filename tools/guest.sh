# What the scripts that build a guest's disk image share (tools/rootfs.sh, tools/suites.sh).
# Sourced after common.sh, never run.
# SPDX-License-Identifier: LGPL-2.1-or-later
PATH=$PATH:/usr/sbin:/sbin

# The first program of the guest: only mounts what it takes to unpack the payload, then hands over.
write_stub() {
        cat >"$1" <<'STUB'
#!/bin/sh
# First program of the test guest: finds the payload disk, unpacks it, hands over to the real init.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mountpoint -q /dev || mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs -o mode=755,size=75% run /run
mkdir /run/payload
tries=0
while [ $tries -lt 500 ]; do
        for ctrl in /sys/class/nvme/nvme*; do
                [ "$(cat "$ctrl/serial" 2>/dev/null | tr -d ' ')" = payload ] || continue
                disk=/dev/${ctrl##*/}n1
                [ -b "$disk" ] || continue
                tar -xf "$disk" -C /run/payload || echo "chargehand: payload disk is damaged"
                exec /run/payload/init
        done
        tries=$((tries + 1))
        sleep 0.02
done
echo "chargehand: no payload disk among $(cat /sys/class/nvme/*/serial | tr '\n' ' ')"
exec sleep 1
STUB
        chmod 755 "$1"
}

# key FILE…: names an image by the recipe it was made from.
key() {
        cat "$@" | sha256sum | cut -c1-16
}

trim() {
        local root=$1
        rm -rf "$root"/usr/share/{doc,man,locale,info,lintian,bash-completion,common-licenses} \
                "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/cache/debconf/* \
                "$root"/usr/share/zoneinfo "$root"/usr/lib/x86_64-linux-gnu/gconv
        mkdir -p "$root/var/lib/dbus"
        echo c4a76e4dc4a76e4dc4a76e4dc4a76e4d >"$root/etc/machine-id"
        ln -sf /etc/machine-id "$root/var/lib/dbus/machine-id"
        echo chargehand-vm >"$root/etc/hostname"
        printf '127.0.0.1 localhost chargehand-vm\n' >"$root/etc/hosts"
}

# An unprivileged user for the tests of refusals.
add_user() {
        grep -q '^tester:' "$1/etc/passwd" || echo 'tester:x:1000:1000::/tmp:/bin/sh' >>"$1/etc/passwd"
        grep -q '^tester:' "$1/etc/group" || echo 'tester:x:1000:' >>"$1/etc/group"
        grep -q '^tester:' "$1/etc/shadow" || echo 'tester:*:19000:0:99999:7:::' >>"$1/etc/shadow"
        grep -q '^messagebus:' "$1/etc/passwd" || die "the guest has no messagebus user: dbus-daemon would not start"
}

# make_image ROOT IMAGE MIB DISK-ID: ext4 in an MBR image whose id makes it known to the kernel as PARTUUID=ID-01.
make_image() {
        local root=$1 image=$2 mib=$3
        truncate -s "${mib}M" "$image"
        printf 'label: dos\nlabel-id: 0x%s\nstart=2048, type=83\n' "$4" | sfdisk -q "$image"
        mke2fs -q -t ext4 -O ^has_journal -b 4096 -m 0 -L root -E offset=1048576 -d "$root" \
                "$image" "$(((mib - 1) * 256))"
}

# keep_newest N PATTERN: images of other recipes may serve other clones, but not for ever.
keep_newest() {
        find "$CACHE" -maxdepth 1 -name "$2" -printf '%T@ %p\n' | sort -rn | tail -n "+$(($1 + 1))" | cut -d' ' -f2- | xargs -r rm -f
}

#!/bin/bash
# Installs chargehand-dkms where Debian's own dkms and the stock headers are: tools/dkms-test.sh PACKAGE VERSION
#
# The roots are made once and kept in the cache; what a test does to one goes with its mount namespace.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"
. "$TOP/tools/apt.sh"
. "$TOP/tools/guest.sh"

# Which root holds the headers of which kernels, and a kernel that the module is not for.
roots() {
        cat <<'ROOTS'
bookworm bookworm,bookworm-security 6.1 6.12
sid sid 7.2
ROOTS
}
OTHER=6.6.13-amd64

make_root() {
        local dir=$1 suites=$2 suite
        shift 2
        [ ! -e "$dir/.complete" ] || return 0
        have mmdebstrap || die "mmdebstrap is missing: ./dev setup"
        info "building a root of ${suites%%,*} with dkms and $* (once, about two minutes)"
        rm -rf --one-file-system "$dir"
        for suite in ${suites//,/ }; do echo "deb $(mirror_of "$suite") $suite main"; done |
                mmdebstrap --quiet --mode=root --variant=minbase --include="$(echo dkms openssl "$@" | tr ' ' ,)" \
                        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
                        --aptopt='Acquire::Check-Valid-Until "false"' "${suites%%,*}" "$dir" - >"$dir.log" 2>&1 ||
                { tail "$dir.log" >&2; die "mmdebstrap of $suites failed"; }
        rm -rf "$dir"/var/cache/apt/* "$dir"/var/lib/apt/lists/* "$dir.log"
        touch "$dir/.complete"
}

# in_root DIR COMMAND…: there, on an overlay that is thrown away.
in_root() {
        unshare -m --propagation private sh -eu -c '
                root=$1
                shift
                mount -t tmpfs tmpfs /mnt
                mkdir /mnt/upper /mnt/work /mnt/root
                mount -t overlay overlay -o "lowerdir=$root,upperdir=/mnt/upper,workdir=/mnt/work" /mnt/root
                mount -t proc proc /mnt/root/proc
                mount -t sysfs -o ro sys /mnt/root/sys
                mount --rbind /dev /mnt/root/dev
                mkdir /mnt/root/run/package
                cp "$PACKAGE" /mnt/root/run/package/chargehand-dkms.deb
                exec chroot /mnt/root "$@"' sh "$@"
}

# What is done in the root, as one script: arguments are version, the other kernel and the releases.
inside() {
        cat <<'INSIDE'
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin
version=$1 other=$2
shift 2
fail() { echo "FAIL: $*"; exit 1; }
trap '[ $? -eq 0 ] || find /var/lib/dkms/chargehand -name make.log -exec tail -n 40 {} +' EXIT

# A kernel that the module is not for is there already, and another one comes later.
mkdir -p "/lib/modules/$other"
ln -s "$(readlink -f "/lib/modules/$1/build")" "/lib/modules/$other/build"
dpkg -i /run/package/chargehand-dkms.deb
for release; do
        # The package builds for the kernel that runs, which is another one here, and for those that it finds.
        dkms install -m chargehand -v "$version" -k "$release"
        dkms status -m chargehand -v "$version" -k "$release" | grep -q 'installed' || fail "not installed for $release"
        ko=$(find "/lib/modules/$release/updates/dkms" -name 'chargehand.ko*')
        [ -n "$ko" ] || fail "no chargehand.ko for $release"
        [ "$(modinfo -F version "$ko")" = "$version" ] || fail "$ko is of version $(modinfo -F version "$ko")"
        case $(modinfo -F vermagic "$ko") in "$release "*) ;; *) fail "$ko is for $(modinfo -F vermagic "$ko")" ;; esac
        depmod "$release"
        [ "$(modinfo -k "$release" -n chargehand)" = "$ko" ] || fail "modprobe would not find $ko"
        echo "SIGNER $release: $(modinfo -F signer "$ko")"
done

rc=0
said=$(dkms build -m chargehand -v "$version" -k "$other" 2>&1) || rc=$?
echo "OTHER $other ($rc): $said"
[ $rc -ne 0 ] || fail "it was built for $other"
case $said in *BUILD_EXCLUSIVE*) ;; *) fail "dkms does not say why" ;; esac
/etc/kernel/postinst.d/dkms "$other" || fail "a kernel that the module is not for cannot be installed any more"
[ ! -e "/lib/modules/$other/updates" ] || fail "there is a module for $other"
dkms uninstall -m chargehand -v "$version" -k "$1"
/etc/kernel/postinst.d/dkms "$1"
[ -n "$(find "/lib/modules/$1/updates/dkms" -name 'chargehand.ko*')" ] || fail "autoinstall left $1 out"

dpkg -r chargehand-dkms
left=$(find /lib/modules /var/lib/dkms /usr/src -path '*chargehand*')
[ -z "$left" ] || fail "left behind: $left"
INSIDE
}

# test_root NAME SUITES KERNEL…
test_root() {
        local name=$1 suites=$2 releases='' names='' kernel release dir log
        shift 2
        for kernel; do
                release=$(cat "$("$TOP/tools/kernels.sh" "$kernel")/release")
                releases+=" $release"
                names+=" linux-headers-$release"
        done
        dir=$CACHE/dkms-$name-$(echo "openssl$names" | sha256sum | cut -c1-16)
        # shellcheck disable=SC2086 # a list of names
        with_lock "$dir.lock" make_root "$dir" "$suites" $names
        log=$BUILD/kmod/dkms-$name.log
        # shellcheck disable=SC2086
        if in_root "$dir" sh -c "$(inside)" sh "$VERSION" "$OTHER" $releases >"$log" 2>&1; then
                grep -E '^(SIGNER|OTHER)' "$log"
                echo "  ok       chargehand-dkms on $name: $*, not $OTHER"
                tally 1 0 0
        else
                cat "$log"
                echo "  fail     chargehand-dkms on $name: $*"
                tally 0 1 0
                status=1
        fi
}

[ $# -eq 2 ] || die "usage: tools/dkms-test.sh PACKAGE VERSION"
[ "$(id -u)" -eq 0 ] || die "the roots need root: sudo CHARGEHAND_CACHE=$CACHE tools/dkms.sh --test"
export PACKAGE=$1
VERSION=$2 status=0
while read -r name suites kernels; do
        # shellcheck disable=SC2086
        test_root "$name" "$suites" $kernels </dev/null
done < <(roots)
exit $status

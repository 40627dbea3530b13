#!/bin/bash
# Builds chargehand.ko: tools/kmod.sh [KERNEL…|all] prints build/kmod/KERNEL/chargehand.ko for each.
#
# For the very kernels that ./dev vm boots, with Debian's own headers and the compiler these were made with: the machine's
# where it is the right one, else one in a chroot of the right release in the cache (made once; 7.2 needs sid's).
# Nothing is done for a module whose sources, headers and recipe have not changed.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"
. "$TOP/tools/apt.sh"
. "$TOP/tools/guest.sh"

ALL_KERNELS="6.1 6.12 7.2"

usage() {
        cat <<'USAGE'
usage: ./dev kmod [KERNEL…|all] [options]
  KERNEL            6.1, 6.12, 7.2; all, or none: these three; debug: the one of ./dev kernel
  --kdir DIR        build for the kernel built in DIR instead, with this machine's compiler; needs --out
  --out DIR         put chargehand.ko there instead of build/kmod/KERNEL
  --sparse          with sparse's checks as well (C=2)
  --clean           from scratch
  --deb             the package chargehand-dkms instead → build/kmod; --deb --test tries it with Debian's dkms
KBUILD_MODPOST_WARN=1 in the environment lets a module through that lacks symbols; MAKEFLAGS of yours are kept.
USAGE
}

# --- the compiler ---------------------------------------------------------------------------------

# compiler_of KERNEL: such as gcc-12, from the kernel's own headers.
compiler_of() {
        grep -oP '^CC *=.*\K\bgcc-[0-9]+' "$CACHE/headers-$1/build/.kernelvariables"
}

# The release whose compiler and libc this is.
suite_of_compiler() {
        case $1 in
        gcc-12) echo bookworm ;;
        gcc-14) echo trixie ;;
        *) echo sid ;;
        esac
}

# headers_of KERNEL: a directory with release and build/.
headers_of() {
        if [ "$1" = debug ]; then
                [ -e "$CACHE/kernel-debug/build/Module.symvers" ] || die "there is no debug kernel in $CACHE yet: ./dev kernel"
                echo "$CACHE/kernel-debug"
        else
                "$TOP/tools/kernels.sh" --headers "$1"
        fi
}

# runs_here KERNEL COMPILER: it is installed, and the kernel's own tools find their libraries.
runs_here() {
        local tool
        have "$2" || return 1
        for tool in tools/objtool/objtool scripts/mod/modpost; do
                ! ldd "$CACHE/headers-$1/build/$tool" 2>&1 | grep -q 'not found' || return 1
        done
}

make_root() {
        local dir=$1 suite=$2 compiler=$3 libelf=libelf1t64
        [ ! -e "$dir/.complete" ] || return 0
        [ "$suite" != bookworm ] || libelf=libelf1
        have mmdebstrap || die "mmdebstrap is missing: ./dev setup"
        info "building a root with $compiler of $suite (once, about a minute)"
        rm -rf --one-file-system "$dir"
        # A mirror's expired Release file (sid) is still signed, and what it gives only ever makes modules for guests.
        mmdebstrap --quiet --mode=root --variant=minbase --include="$compiler,make,$libelf" \
                --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
                --dpkgopt='path-exclude=/usr/share/locale/*' --aptopt='Acquire::Check-Valid-Until "false"' \
                "$suite" "$dir" "$(mirror_of "$suite")" >"$dir.log" 2>&1 || { tail "$dir.log" >&2; die "mmdebstrap of $suite failed"; }
        rm -rf "$dir"/var/cache/apt/* "$dir"/var/lib/apt/lists/* "$dir.log"
        touch "$dir/.complete"
}

# in_root DIR BINDS COMMAND…: runs it there, with these directories at the same paths.
in_root() {
        # The mounts live in a namespace of their own and go with it.
        unshare -m sh -eu -c '
                root=$1 binds=$2
                shift 2
                for dir in $binds; do
                        mkdir -p "$root$dir"
                        mount --bind "$dir" "$root$dir"
                done
                mount -t proc proc "$root/proc"
                mount --rbind /dev "$root/dev"
                exec chroot "$root" "$@"' sh "$@"
}

# --- the module -----------------------------------------------------------------------------------

# The sources, copied beside their objects when they differ, so that make builds what changed and nothing goes to kmod/.
copy_sources() {
        local to=$1 file
        mkdir -p "$to/uapi"
        (cd "$TOP/kmod" && find . -maxdepth 2 \( -name '*.[chS]' -o -name Kbuild \) ! -name '*.mod.c') | sort >"$to/.sources.new"
        # What is no longer there must not be built.
        if [ -e "$to/.sources" ]; then
                comm -23 "$to/.sources" "$to/.sources.new" | while read -r file; do rm -f "$to/$file" "$to/${file%.c}.o"; done
        fi
        mv "$to/.sources.new" "$to/.sources"
        while read -r file; do
                cmp -s "$TOP/kmod/$file" "$to/$file" || cp "$TOP/kmod/$file" "$to/$file"
        done <"$to/.sources"
}

content() {
        local work=$1 headers=$2
        {
                cat "$headers/release" "$headers/build/Module.symvers" "$0"
                echo "$VERSION ${KBUILD_MODPOST_WARN:-}"
                (cd "$work" && xargs sha256sum <.sources)
        } | sha256sum
}

# run_make KERNEL HEADERS WORK ARGUMENT…
run_make() {
        local kernel=$1 headers=$2 work=$3 compiler suite root
        shift 3
        set -- make -k -C "$headers/build" M="$work" CHARGEHAND_WERROR=1 CHARGEHAND_VERSION="$VERSION" -j"$(nproc)" "$@"
        # A kernel that was built here is of this machine's compiler.
        if [ ! -e "$headers/build/.kernelvariables" ]; then
                "$@"
                return
        fi
        compiler=$(compiler_of "$kernel")
        if runs_here "$kernel" "$compiler"; then
                "$@"
                return
        fi
        [ "$(id -u)" -eq 0 ] || die "$kernel wants $compiler and its libc, thus a chroot, thus root: sudo CHARGEHAND_CACHE=$CACHE ./dev kmod $kernel"
        suite=$(suite_of_compiler "$compiler")
        root=$CACHE/kbuild-$suite-$compiler
        with_lock "$root.lock" make_root "$root" "$suite" "$compiler"
        in_root "$root" "$headers $work" "$@"
}

# relate WORK: complaints name the files that can be edited; newer kernels say them without their directory.
relate() {
        sed -E -e "s,$1/,kmod/,g" -e 's,^([a-z-]+\.[ch][: ]),kmod/\1,' -e 's,( from )([a-z-]+\.[ch]:),\1kmod/\2,'
}

build() {
        local kernel=$1 headers=$2 out=$3 work=$3/obj args=() stamp
        mkdir -p "$work"
        [ -z "$CLEAN" ] || rm -rf "$work" "$out/stamp"
        copy_sources "$work"
        stamp=$(content "$work" "$headers")
        if [ -z "$SPARSE" ] && [ -e "$out/chargehand.ko" ] && [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then
                return
        fi
        # Objects of another kernel or of other headers are of no use.
        if ! cmp -s "$headers/release" "$work/release"; then
                find "$work" \( -name '*.o' -o -name '.*.cmd' -o -name '*.ko' \) -delete
                cp "$headers/release" "$work/release"
        fi
        [ -z "$SPARSE" ] || args+=(C=2 "CF=-D__CHECK_ENDIAN__ -Wsparse-error -Wno-context")
        info "building chargehand.ko for $(cat "$headers/release")"
        rm -f "$out/stamp" "$out/chargehand.ko"
        if ! run_make "$kernel" "$headers" "$work" ${args+"${args[@]}"} modules >"$out/log" 2>&1; then
                grep -vE '^  (CC|LD|AR|MODPOST|CHECK) |^make|pahole version|was built with:|You are using:' "$out/log" | relate "$work" >&2
                die "chargehand.ko for $kernel does not build; all that was said is in $out/log"
        fi
        grep -E 'warning:|WARNING:|error:' "$out/log" | grep -v 'pahole version differs' | relate "$work" >&2 || true
        cp "$work/chargehand.ko" "$out/chargehand.ko.new"
        mv "$out/chargehand.ko.new" "$out/chargehand.ko"
        echo "$stamp" >"$out/stamp"
}

# --- main -----------------------------------------------------------------------------------------

VERSION=$(sed -n "s/^ *version: '\(.*\)',/\1/p" "$TOP/meson.build")
if [ "${1:-}" = --deb ]; then
        shift
        exec "$TOP/tools/dkms.sh" "$@"
fi
KERNELS=() KDIR='' OUT='' SPARSE='' CLEAN=''
while [ $# -gt 0 ]; do
        case $1 in
        --kdir | --out)
                [ $# -gt 1 ] || die "$1 needs a value"
                if [ "$1" = --kdir ]; then KDIR=$(realpath "$2"); else mkdir -p "$2" && OUT=$(realpath "$2"); fi
                shift
                ;;
        --sparse) SPARSE=1 ;;
        --clean) CLEAN=1 ;;
        -h | --help) usage; exit 0 ;;
        all) read -ra KERNELS <<<"$ALL_KERNELS" ;;
        debug | [0-9]*.[0-9]*) KERNELS+=("$1") ;;
        *) usage >&2; exit 2 ;;
        esac
        shift
done
if [ -n "$KDIR" ]; then
        [ -n "$OUT" ] || die "--kdir needs --out DIR"
        [ -e "$KDIR/Module.symvers" ] || die "$KDIR is no build directory of a kernel: no Module.symvers in it"
        # A tree with the face of our own header directories.
        mkdir -p "$OUT/kdir"
        ln -sfn "$KDIR" "$OUT/kdir/build"
        cp "$KDIR/include/config/kernel.release" "$OUT/kdir/release"
        with_lock "$OUT/lock" build kdir "$OUT/kdir" "$OUT"
        echo "$OUT/chargehand.ko"
        exit
fi
[ ${#KERNELS[@]} -gt 0 ] || read -ra KERNELS <<<"$ALL_KERNELS"
for kernel in "${KERNELS[@]}"; do
        headers=$(headers_of "$kernel")
        out=${OUT:-$BUILD/kmod/$kernel}
        with_lock "$out/lock" build "$kernel" "$headers" "$out"
        echo "$out/chargehand.ko"
done

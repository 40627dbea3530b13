#!/bin/bash
# Builds the debug kernel that ./dev vm debug boots: tools/kernel.sh prints its directory in the cache.
#
# Debian's linux-source-6.12 with the patches of kmod/patches and the configuration tools/kernel-debug.config. The tree
# stays in the cache, some gigabytes: modules are built against it, and after a change of a patch only what it touches is
# compiled again. Made when asked for, by hand; nothing in CI wants it.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"
. "$TOP/tools/apt.sh"
PATH=$PATH:/usr/sbin:/sbin

VERSION=6.12
DIR=$CACHE/kernel-debug
TREE=$CACHE/kernel-debug.tree
CONFIG=$TOP/tools/kernel-debug.config
PATCHES=("$TOP"/kmod/patches/*.patch)

usage() {
        cat <<'USAGE'
usage: ./dev kernel [--clean] [--newest] [--check]
  --clean   from scratch, with sources fetched anew
  --newest  the same if Debian has newer sources, else nothing special
  --check   build nothing, say only whether what is there is of these patches and this configuration
Prints a directory with vmlinuz, release, modules/, source/ and build/ (make -C …/build M=…).
USAGE
}

# --- sources --------------------------------------------------------------------------------------

fetch_from() {
        local suites=$1 work=$2
        private_apt "$work/apt" "$suites"
        export APT_CONFIG=$work/apt/apt.conf
        apt-get -qq update >"$work/apt.log" 2>&1 || { sed 's/^/   /' "$work/apt.log" >&2; return 1; }
        apt-cache show --no-all-versions "linux-source-$VERSION" >/dev/null 2>&1 || return 1
        (cd "$work" && apt-get -qq download "linux-source-$VERSION") || return 1
}

# Afterwards source/ is Debian's, and .version says which.
unpack() {
        local work=$1 version
        version=$(dpkg-deb -f "$work"/linux-source-*.deb Version)
        [ "$version" != "$(cat "$TREE/.version" 2>/dev/null)" ] || return 0
        info "unpacking linux-source $version"
        rm -rf "$TREE"
        mkdir -p "$TREE/source" "$TREE/build" "$TREE/applied" "$TREE/selftests"
        dpkg-deb --fsys-tarfile "$work"/linux-source-*.deb |
                tar -xO "./usr/src/linux-source-$VERSION.tar.xz" |
                tar -xJ --strip-components=1 -C "$TREE/source"
        echo "$version" >"$TREE/.version"
}

fetch() {
        local suites
        WORK=$(mktemp -d "$CACHE/fetch.XXXXXX")
        for suites in $(suites_of "$VERSION"); do
                # A subshell, for the private apt world that it enters.
                if (fetch_from "$suites" "$WORK"); then
                        unpack "$WORK"
                        rm -rf "$WORK"
                        return
                fi
        done
        die "no linux-source-$VERSION in $(suites_of "$VERSION"); is the network reachable?"
}

# --- patches --------------------------------------------------------------------------------------

# The series as it is applied is kept in applied/: what differs from it is undone from the end, and then done anew.
apply_patches() {
        local p name undo=()
        for p in "$TREE"/applied/*.patch; do
                name=$(basename "$p")
                [ -e "$p" ] || continue
                if [ ${#undo[@]} -gt 0 ] || ! cmp -s "$p" "$TOP/kmod/patches/$name"; then
                        undo=("$p" "${undo[@]}")
                fi
        done
        for p in ${undo+"${undo[@]}"}; do
                run_patch -R "$p"
                rm "$p"
        done
        for p in "${PATCHES[@]}"; do
                if [ -e "$p" ] && [ ! -e "$TREE/applied/$(basename "$p")" ]; then
                        run_patch -N "$p"
                        cp "$p" "$TREE/applied/"
                fi
        done
}

run_patch() {
        patch -d "$TREE/source" -p1 -s --no-backup-if-mismatch -r - "$1" <"$2" >"$TREE/patch.log" 2>&1 && return
        cat "$TREE/patch.log" >&2
        die "$2 does not apply to linux-source $(cat "$TREE/.version"); if the tree in $TREE is to blame: ./dev kernel --clean"
}

# --- the build ------------------------------------------------------------------------------------

run_make() {
        nice make -s -C "$TREE/source" O="$TREE/build" -j"$(nproc)" "$@" >>"$TREE/log" 2>&1 && return
        tail -n 30 "$TREE/log" >&2
        die "make $1 failed; all that was said is in $TREE/log"
}

# Every line of the fragment holds in the end, or somebody relies on what is not there.
configure() {
        local line name refused=''
        cmp -s "$CONFIG" "$TREE/.config-fragment" && [ -e "$TREE/build/.config" ] && return
        run_make KCONFIG_ALLCONFIG="$CONFIG" allnoconfig
        while read -r line; do
                case $line in
                CONFIG_*) grep -qxF "$line" "$TREE/build/.config" || refused+=" $line" ;;
                '# CONFIG_'*)
                        name=${line#\# }
                        ! grep -q "^${name%% *}=" "$TREE/build/.config" || refused+=" '$line'"
                        ;;
                esac
        done <"$CONFIG"
        [ -z "$refused" ] || die "$CONFIG: linux $(cat "$TREE/.version") does not take$refused; see its Kconfig files for what they depend on"
        cp "$CONFIG" "$TREE/.config-fragment"
}

# The selftests of the series, to be run in the guest.
build_selftests() {
        local source=$TREE/source/tools/testing/selftests/cgroup test=test_recharge
        [ -e "$source/$test.c" ] || return 0
        mkdir -p "$TREE/selftests"
        gcc -O2 -Wall -D_GNU_SOURCE -I"$source/.." -pthread -o "$TREE/selftests/$test" "$source/$test.c" "$source/cgroup_util.c" \
                >>"$TREE/log" 2>&1 || { tail "$TREE/log" >&2; die "$source/$test.c does not build"; }
}

content() {
        cat "$CONFIG" "${PATCHES[@]}" | cat - "$TREE/.version" 2>/dev/null | sha256sum
}

# What is booted stays what it was until the new one is there as a whole.
publish() {
        local release
        release=$(cat "$TREE/build/include/config/kernel.release")
        rm -rf "$TREE/out"
        mkdir -p "$TREE/out/selftests"
        run_make INSTALL_MOD_PATH="$TREE/out/modules" modules_install
        rm -f "$TREE/out/modules/lib/modules/$release/"{build,source}
        cp "$TREE/build/arch/x86/boot/bzImage" "$TREE/out/vmlinuz"
        cp "$TREE"/selftests/* "$TREE/out/selftests/"
        ln -s "$TREE/build" "$TREE/source" "$TREE/out/"
        content >"$TREE/out/content"
        echo "$release" >"$TREE/out/release"
        rm -rf "$DIR"
        mv "$TREE/out" "$DIR"
}

build() {
        local begin=$SECONDS
        [ -z "$CLEAN" ] || rm -rf "$TREE" "$DIR"
        if [ -n "$NEWEST" ] || [ ! -e "$TREE/.version" ]; then fetch; fi
        ! is_current || return 0
        info "building the debug kernel in $TREE (from scratch: some 15 CPU minutes)"
        : >"$TREE/log"
        apply_patches
        configure
        run_make bzImage modules
        build_selftests
        publish
        info "$(cat "$DIR/release") took $((SECONDS - begin)) s"
}

is_current() {
        [ -e "$DIR/release" ] && [ "$(content)" = "$(cat "$DIR/content" 2>/dev/null)" ]
}

CLEAN='' NEWEST='' WORK=''
for arg; do
        case $arg in
        --clean) CLEAN=1 ;;
        --newest) NEWEST=1 ;;
        --check)
                is_current || info "$DIR is of other patches or another configuration than this tree; ./dev kernel builds it anew"
                exit 0
                ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
        esac
done
trap '[ -z "$WORK" ] || rm -rf "$WORK"' EXIT
with_lock "$CACHE/kernel-debug.lock" build
echo "$DIR"

#!/bin/bash
# Builds chargehand.ko for every kernel and looks at what came of it: tools/kmod-check.sh [KERNEL…]
#
# sparse where its version knows the kernel's headers; names that others may meet; sections without which a kernel
# with IBT or retpolines would refuse the module or die of it; what modinfo must say.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"
PATH=$PATH:/usr/sbin:/sbin

step() {
        local name=$1 said
        shift
        if said=$("$@" 2>&1); then
                echo "  ok       $name"
                tally 1 0 0
        else
                echo "$said"
                echo "  fail     $name"
                tally 0 1 0
                status=1
        fi
}

# foreign_names: of those that nm prints, the ones that are not ours to take.
foreign_names() {
        grep -vE ' (init_module|cleanup_module|__this_module|(__SC[KT]__|__pfx_|__cfi_)?chargehand_[a-z0-9_]*|__(pfx|cfi)_(init|cleanup)_module|__(start|stop)_alloc_tags)$' || true
}

names() {
        local bad
        bad=$(nm -g --defined-only "$1" | foreign_names)
        [ -z "$bad" ] || { echo "symbols that are not static and not called chargehand_…:"; echo "$bad"; return 1; }
}

self_test() {
        [ "$(printf '0 T %s\n' init_module chargehand_a __SCK__chargehand_b helper | foreign_names)" = "0 T helper" ] ||
                die "the self-test of the names saw something else"
}

# .config of the kernel decides what objtool and the linker must have left behind.
sections() {
        local ko=$1 config=$2 have bad='' option section
        have=$(objdump -h "$ko" | awk '$1 ~ /^[0-9]+$/ { print $2 }')
        while read -r option section; do
                grep -qx "$option=y" "$config" || continue
                grep -qx "$section" <<<"$have" || bad+=" $section ($option)"
        done <<'LIST'
CONFIG_HAVE_STATIC_CALL_INLINE .static_call_sites
CONFIG_RETPOLINE .retpoline_sites
CONFIG_MITIGATION_RETPOLINE .retpoline_sites
CONFIG_X86_KERNEL_IBT .ibt_endbr_seal
CONFIG_UNWINDER_ORC .orc_unwind
LIST
        [ -z "$bad" ] || { echo "$ko lacks sections:$bad"; return 1; }
}

# says KO RELEASE: licence, version and kernel.
says() {
        local field want got
        while read -r field want; do
                got=$(modinfo -F "$field" "$1")
                # shellcheck disable=SC2053 # a pattern
                [[ $got == $want ]] || { echo "modinfo -F $field $1: '$got', want '$want'"; return 1; }
        done <<LIST
license GPL*
version $(sed -n "s/^ *version: '\(.*\)',/\1/p" "$TOP/meson.build")
description ?*
vermagic $2 *
LIST
}

sparse_of() {
        "$TOP/tools/kmod.sh" "$1" --sparse --out "$BUILD/kmod/$1/sparse"
}

check() {
        local kernel=$1 ko headers
        step "chargehand.ko for $kernel builds" "$TOP/tools/kmod.sh" "$kernel"
        ko=$BUILD/kmod/$kernel/chargehand.ko
        [ -e "$ko" ] || return 0
        headers=$("$TOP/tools/kernels.sh" --headers "$kernel")
        step "$kernel: names" names "$ko"
        step "$kernel: sections" sections "$ko" "$headers/build/.config"
        step "$kernel: modinfo" says "$ko" "$(cat "$headers/release")"
        case $kernel in
        6.*)
                if have sparse; then
                        step "$kernel: sparse" sparse_of "$kernel"
                else
                        echo "  skip     $kernel: sparse is not installed"
                        tally 0 0 1
                fi
                ;;
        esac
}

status=0
self_test
[ $# -gt 0 ] || set -- 6.1 6.12 7.2
for kernel; do check "$kernel"; done
exit $status

#!/bin/sh
# kmod/compat.h lets in the kernels that were reviewed and no others: check-kmod-window.sh SOURCE_ROOT
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu

compat=$1/kmod/compat.h
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# Headers of a kernel that have nothing in them but its version.
mkdir "$dir/linux"
sed -n 's/^#include <linux\/\(.*\)>$/\1/p' "$compat" | while read -r header; do : >"$dir/linux/$header"; done
echo '#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + (c))
#define LINUX_VERSION_CODE KERNEL_VERSION(MAJOR, MINOR, 5)
#define IS_ENABLED(option) option' >"$dir/linux/version.h"

# built VERSION [FLAG…]: what the preprocessor makes of it goes to $said.
built() {
        version=$1
        shift
        said=$(cc -E -dM -I"$dir" -DMAJOR="${version%.*}" -DMINOR="${version#*.}" -DCONFIG_MEMCG=1 -DCONFIG_X86_64=1 \
                "$@" -x c "$compat" 2>&1)
}

# refused TEXT VERSION [FLAG…]
refused() {
        text=$1
        shift
        if built "$@"; then
                echo "$* builds, and was not reviewed"
                exit 1
        fi
        case $said in
        *"$text"*) ;;
        *) echo "$*: '$text' is not in: $said"; exit 1 ;;
        esac
}

for version in 6.1 6.12 7.2; do
        built $version || { echo "$version does not build: $said"; exit 1; }
        echo "$said" | grep -q "^#define CHARGEHAND_RELEASE \"$version\"$" || { echo "$version is taken for another"; exit 1; }
        refused "wants x86-64 with CONFIG_MEMCG" $version -UCONFIG_MEMCG
        refused "wants x86-64 with CONFIG_MEMCG" $version -UCONFIG_X86_64
        refused "not reviewed for PREEMPT_RT" $version -DCONFIG_PREEMPT_RT=1
done
for version in 5.15 6.0 6.2 6.11 6.13 7.1 7.3 8.0; do
        refused "this kernel was not reviewed (6.1, 6.12, 7.2 were)" $version
done

#!/bin/bash
# Configures and builds one flavour below build/: tools/build.sh [FLAVOUR] [ninja arguments…]
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"

# What a flavour changes against plain meson, and why it exists.
options_of() {
        case $1 in
        dev) ;; # debugoptimized, asserts on: what one works with
        asan) echo -Db_sanitize=address,undefined -Db_lundef=false --buildtype=debug ;;
        # races in what is lock-free
        tsan) echo -Db_sanitize=thread -Db_lundef=false --buildtype=debugoptimized ;;
        release) echo --buildtype=release -Db_ndebug=true ;; # -O3 -DNDEBUG: what benchmarks measure
        clang) ;; # the other compiler's warnings
        32bit) ;; # sizes and formats
        coverage) echo -Db_coverage=true --buildtype=debug ;;
        fuzz) echo -Dfuzz=true -Db_lundef=false --buildtype=debugoptimized -Db_sanitize=address,undefined ;;
        *) die "no flavour '$1'; there are: dev asan tsan release clang 32bit coverage fuzz" ;;
        esac
        # CI makes no exceptions for warnings; at the desk they do not stop a build.
        [ -z "${CI:-}" ] || echo --werror
}

build() {
        local flavour=$1 dir=$BUILD/$1 options in=''
        shift
        [ "$flavour" != 32bit ] || in=$TOP/tools/chroot32.sh
        options=$(options_of "$flavour")
        if [ ! -e "$dir/build.ninja" ]; then
                info "configuring build/$flavour"
                mkdir -p "$dir"
                case $flavour in
                clang | fuzz) export CC=clang ;;
                esac
                # shellcheck disable=SC2086 # a list of options
                $in meson setup $options "$dir" "$TOP" >"$dir.log" 2>&1 ||
                        { tail -n 30 "$dir.log" >&2; die "meson setup failed, see build/$flavour.log; ./dev setup installs what is missing"; }
        fi
        $in ninja -C "$dir" "$@" >"$dir.log" 2>&1 || {
                sed -n '/^FAILED/,$p' "$dir.log" | grep -v '^\(cc\|gcc\|clang\|\[\)' | head -n 60 >&2
                die "build/$flavour does not build; all of it is in build/$flavour.log"
        }
        grep -h 'warning:' "$dir.log" >&2 || true
}

flavour=${1:-dev}
[ $# -eq 0 ] || shift
options_of "$flavour" >/dev/null
with_lock "$BUILD/$flavour.lock" build "$flavour" "$@"

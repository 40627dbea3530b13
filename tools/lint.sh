#!/bin/bash
# Reads the sources with the tools that are there: check scripts, shellcheck, cppcheck, clang-tidy.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"
cd "$TOP"

# step NAME COMMAND…: one line when it is content, its complaints when not.
step() {
        local name=$1 log
        shift
        log=$(mktemp)
        if "$@" >"$log" 2>&1; then
                echo "  ok       $name"
                tally 1 0 0
        else
                cat "$log"
                echo "  fail     $name"
                tally 0 1 0
                status=1
        fi
        rm -f "$log"
}

skip_step() {
        echo "  skip     $1: not installed"
        tally 0 0 1
}

status=0
if [ "${1:-}" != --no-checks ]; then
        for script in tools/check-*; do step "${script#tools/}" "$script"; done
fi

mapfile -t scripts < <(find dev .ci tools tests kmod/dkms -type f ! -name '*.py' ! -name '*.md' \
        \( -name '*.sh' -o -name dev -o -path '*.ci/run' -o -name 'check-*' -o -path 'kmod/dkms/p*' \))
if have shellcheck; then
        # 1091: sourced files are found at run time; 2034, 2154: variables of lib.sh and of the runner.
        step shellcheck shellcheck -S warning -s bash -e SC1091,SC2034,SC2154 "${scripts[@]}"
else
        skip_step shellcheck
fi

if have cppcheck; then
        step cppcheck cppcheck -q -j "$(nproc)" --std=c11 --enable=warning,performance,portability --inline-suppr \
                --suppress=missingInclude --suppress=internalAstError --suppress='unknownMacro:daemon/*-bus.c' \
                --suppress='unknownMacro:daemon/systemd1/*-vtable.c' --error-exitcode=1 \
                '-DCHARGEHAND_VERSION="0"' -D_GNU_SOURCE -D__linux__ -Iinclude -Ilib lib daemon cli
else
        skip_step cppcheck
fi

# clang-tidy takes its list of checks from .clang-tidy; without that file nobody asked for it.
if have clang-tidy && [ -e .clang-tidy ] && [ -e build/dev/compile_commands.json ]; then
        mapfile -t sources < <(find lib daemon cli -name '*.c')
        step clang-tidy clang-tidy --quiet -p build/dev "${sources[@]}"
fi
exit $status

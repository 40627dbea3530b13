#!/bin/bash
# The main job, seen working: a Redis server under traffic moves between groups with its memory.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"

usage() {
        cat <<'USAGE'
usage: ./dev demo [--kernel K] [--json] [--host] [--keys N]
  --kernel K   the stock kernel to boot in QEMU: 6.1 (default), 6.12 or 7.2
  --host       on this machine, as root, instead of in a VM; needs cgroup v2 with the memory controller
  --json       print one object and nothing else
  --keys N     size of the data set, in keys of 4,000 bytes (default 100,000: about 420 MiB resident)
USAGE
}

KERNEL=6.1 JSON='' HOST='' KEYS=100000
while [ $# -gt 0 ]; do
        case $1 in
        --json) JSON=1 ;;
        --host) HOST=1 ;;
        --kernel | --keys)
                [ $# -gt 1 ] || die "$1 needs a value"
                [ "$1" = --keys ] && KEYS=$2 || KERNEL=$2
                shift
                ;;
        [0-9]*.[0-9]*) KERNEL=$1 ;;
        -h | --help) usage; exit 0 ;;
        *) echo "demo.sh: no option '$1'" >&2; usage >&2; exit 2 ;;
        esac
        shift
done
case $KEYS in
'' | *[!0-9]*) die "--keys takes a number, not '$KEYS'" ;;
esac

on_host() {
        "$TOP/tools/setup.sh" demo
        "$TOP/tools/build.sh" dev
        local bin
        bin=$(mktemp -d)
        trap 'rm -rf "$bin"' EXIT
        ln -s "$BUILD"/dev/daemon/chargehandd "$BUILD"/dev/cli/chargectl "$BUILD"/dev/tests/vm/redis-load "$bin"
        as_root python3 "$TOP/tools/demo-run.py" --bin "$bin" --keys "$KEYS" ${JSON:+--json}
}

in_vm() {
        local out status=0
        out=$BUILD/demo/$KERNEL
        rm -rf "$out"
        mkdir -p "$out"
        set -- "$KERNEL" demo --file "$TOP/tools/demo-run.py" --env "DEMO_KEYS=$KEYS" --out "$out"
        if [ -n "$JSON" ]; then
                QUIET=1 "$TOP/tools/vm.sh" "$@" >"$out/vm.log" 2>&1 || status=$?
                [ -s "$out/demo.json" ] || { tail -n 30 "$out/vm.log" >&2; die "the demo left no result; see $out/vm.log"; }
                cat "$out/demo.json"
        else
                "$TOP/tools/vm.sh" "$@" --follow || status=$?
        fi
        return $status
}

if [ -n "$HOST" ]; then
        on_host
else
        in_vm
fi

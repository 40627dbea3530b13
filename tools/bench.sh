#!/bin/bash
# Runs the measurements, each beside a named peer or floor, and keeps their tables in docs/benchmarks.md.
#
# A bench NAME is one or more of
#   tests/vm/cases/bench-NAME.sh   run on stock kernels in the VM; leaves lines of JSON in $OUT/bench-NAME.json
#   tests/vm/cases/bench-NAME-peer.sh   the peer's side where it needs a guest of its own; bench/rows-NAME.sh makes
#                                  the lines of what the two left in $OUT
#   bench/host-NAME.sh             run on this host with the build directory in $BENCH_BUILD; prints lines of JSON
# A line is {bench, case, size, ours, reference, reference_name, ratio, unit}; exit code 77 means not possible here.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"

usage() {
        cat <<'USAGE'
usage: ./dev bench [NAME…] [options]
  NAME            which (default: all; see --list)
  --json          one list of rows as JSON instead of tables; docs/benchmarks.md stays as it is
  --kernel K      a kernel for the VM (default: 6.1 and 7.2); may be given again
  --no-vm, --no-host   leave out that place
  --no-build, --flavour NAME   as ./dev vm (default: release, which is what ships)
  --list          name them and stop
USAGE
}

NAMES=() KERNELS=() JSON='' NO_VM='' NO_HOST='' DO_BUILD=1 FLAVOUR=release LIST='' PARTIAL=''

parse() {
        while [ $# -gt 0 ]; do
                case $1 in
                --json) JSON=1 ;;
                --no-vm) NO_VM=1 ;;
                --no-host) NO_HOST=1 ;;
                --no-build) DO_BUILD= ;;
                --list) LIST=1 ;;
                --kernel | --flavour)
                        [ $# -gt 1 ] || die "$1 needs a value"
                        case $1 in --kernel) KERNELS+=("$2") ;; *) FLAVOUR=$2 ;; esac
                        shift
                        ;;
                -h | --help) usage; exit 0 ;;
                -*) usage >&2; exit 2 ;;
                *) NAMES+=("$1") ;;
                esac
                shift
        done
        PARTIAL=${KERNELS[*]}
        [ ${#KERNELS[@]} -gt 0 ] || KERNELS=(6.1 7.2)
}

vm_case() {
        echo "$TOP/tests/vm/cases/bench-$1.sh"
}

host_script() {
        echo "$TOP/bench/host-$1.sh"
}

all_names() {
        find "$TOP/tests/vm/cases" -name 'bench-*.sh' | sed 's|.*/bench-||; s|\.sh$||; /-peer$/d'
        find "$TOP/bench" -name 'host-*.sh' | sed 's|.*/host-||; s|\.sh$||'
}

# tag WHERE: adds the place to each line.
tag() {
        sed "s/^{/{\"where\": \"$1\", /"
}

run_in_vm() {
        local name=$1 kernel=$2 out=$WORK/vm cases=("bench-$1") accel
        info "$name on $kernel in the VM"
        rm -rf "$out"
        [ ! -e "$(vm_case "$name-peer")" ] || cases+=("bench-$name-peer")
        "$TOP/tools/vm.sh" "$kernel" "${cases[@]}" --no-build --flavour "$FLAVOUR" --out "$out" >"$WORK/log" 2>&1 || {
                cat "$WORK/log" >&2
                die "bench $name failed on $kernel"
        }
        accel=$(sed -n 's/^kernel [^ ]* ([^,]*, \([a-z]*\).*/\1/p' "$WORK/log" | head -n 1)
        [ ${#cases[@]} -eq 1 ] || "$TOP/bench/rows-$name.sh" "$out" >"$out/bench-$name.json"
        [ -s "$out/bench-$name.json" ] || { info "$name left no rows on $kernel: skipped there"; return 0; }
        tag "$kernel ${accel:-VM}" <"$out/bench-$name.json" >>"$ROWS"
}

run_on_host() {
        local name=$1 rc=0
        info "$name on this host"
        BENCH_BUILD=$BUILD/$FLAVOUR bash "$(host_script "$name")" >"$WORK/rows" || rc=$?
        [ $rc -ne 77 ] || { info "$name is not possible on this host: skipped here"; return 0; }
        [ $rc -eq 0 ] || die "bench $name failed on this host with $rc"
        tag "host $(uname -r | cut -d. -f1,2)" <"$WORK/rows" >>"$ROWS"
}

run_bench() {
        local name=$1 kernel known='' page=$TOP/docs/benchmarks.md
        ROWS=$BUILD/bench/$name.json
        : >"$ROWS"
        if [ -r "$(host_script "$name")" ]; then
                known=1
                [ -n "$NO_HOST" ] || run_on_host "$name"
        fi
        if [ -r "$(vm_case "$name")" ]; then
                known=1
                for kernel in "${KERNELS[@]}"; do [ -n "$NO_VM" ] || run_in_vm "$name" "$kernel"; done
        fi
        [ -n "$known" ] || die "no bench '$name'; there are: $(all_names | sort -u | tr '\n' ' ')"
        if [ -n "$JSON" ]; then
                cat "$ROWS" >>"$WORK/all"
        else
                # a table with some of its places missing is shown and not kept
                [ -z "$NO_HOST$NO_VM$PARTIAL" ] || [ ! -r "$(vm_case "$name")" ] || page=/dev/null
                python3 "$TOP/tools/bench-table.py" "$name" "$ROWS" "$page"
        fi
}

parse "$@"
[ ${#NAMES[@]} -gt 0 ] || read -ra NAMES <<<"$(all_names | sort -u | tr '\n' ' ')"
if [ -n "$LIST" ]; then
        printf '%s\n' "${NAMES[@]}"
        exit 0
fi
[ -z "$DO_BUILD" ] || "$TOP/tools/build.sh" "$FLAVOUR" >&2
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
mkdir -p "$BUILD/bench"
: >"$WORK/all"
for name in "${NAMES[@]}"; do run_bench "$name"; done
[ -z "$JSON" ] || awk 'BEGIN { printf "[" } { printf "%s\n %s", (NR > 1 ? "," : ""), $0 } END { print "\n]" }' "$WORK/all"

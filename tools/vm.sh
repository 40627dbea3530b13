#!/bin/bash
# Boots a stock Debian kernel in QEMU and runs test cases in it; tests/vm/README.md is the manual.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"
PATH=$PATH:/usr/sbin:/sbin

usage() {
        cat <<'USAGE'
usage: ./dev vm [KERNEL…|all] [CASE…] [options]
  KERNEL            6.1 (default), 6.12, 7.2; several may be given; all = these three; debug = the one of ./dev kernel,
                    a 6.12 with our patches that watches itself (slow: more memory and longer time limits by itself)
  CASE              a name from tests/vm/cases; none = all that suit the kernel
  --shell           an interactive shell in the guest instead of cases
  --suite NAME      only cases of that suite (default: vm, when no case is named)
  --module          of the cases to run only those that load chargehand.ko
  --no-build        use what is in the build directory as it is
  --flavour NAME    whose binaries (default: dev)
  --mem MIB, --cpus N, --slow FACTOR (of every time limit; default: load per CPU), --tcg, --kvm
  --case FILE       a case from elsewhere      --file FILE  one more file, found in $TESTS/files
  --env NAME=VALUE  a variable for the cases   --out DIR    put what they leave in $OUT here
  --follow          show what the cases print, as it comes
  --list            name the cases and stop
Logs: build/vm/KERNEL/CASE.log, console.log, out/
With CI=true in the environment a case that failed is run once more in a fresh guest; if it passes then, it is "flaky".
USAGE
}

KERNELS=() CASES=() FILES=() ENV=()
declare -A RETRIED=()
SHELL_MODE='' FLAVOUR=dev DO_BUILD=1 MEM='' CPUS='' MODULE='' SUITE='''' OUT='' FOLLOW='' LIST=''
ROOT_ID=c4a76e4d SUITE_DISKS=''
SLOW=${CHARGEHAND_VM_SLOW:-} ACCEL=${CHARGEHAND_VM_ACCEL:-}
CASE_DIR=$TOP/tests/vm/cases
TRY=1
ALL_KERNELS="6.1 6.12 7.2"

parse() {
        while [ $# -gt 0 ]; do
                case $1 in
                --shell) SHELL_MODE=1 ;;
                --no-build) DO_BUILD= ;;
                --follow) FOLLOW=1 ;;
                --list) LIST=1 ;;
                --module) MODULE=1 ;;
                --tcg) ACCEL=tcg ;;
                --kvm) ACCEL=kvm ;;
                -h | --help) usage; exit 0 ;;
                --suite | --flavour | --mem | --cpus | --slow | --case | --file | --env | --out)
                        [ $# -gt 1 ] || die "$1 needs a value"
                        parse_value "$1" "$2"
                        shift
                        ;;
                -*) usage >&2; exit 2 ;;
                all) read -ra KERNELS <<<"$ALL_KERNELS" ;;
                [0-9]*.[0-9]* | debug) KERNELS+=("$1") ;;
                *) CASES+=("$1") ;;
                esac
                shift
        done
        [ ${#KERNELS[@]} -gt 0 ] || KERNELS=(6.1)
}

parse_value() {
        case $1 in
        --suite) SUITE=$2 ;;
        --flavour) FLAVOUR=$2 ;;
        --mem) MEM=$2 ;;
        --cpus) CPUS=$2 ;;
        --slow) SLOW=$2 ;;
        --case) [ -r "$2" ] || die "no case at $2"; CASES+=("$(realpath "$2")") ;;
        --file) [ -r "$2" ] || die "no file at $2"; FILES+=("$(realpath "$2")") ;;
        --env) ENV+=("$2") ;;
        --out) mkdir -p "$2"; OUT=$(realpath "$2") ;;
        esac
}

# --- cases ---------------------------------------------------------------------------------------

script_of() {
        case $1 in
        /*) echo "$1" ;;
        *) echo "$CASE_DIR/$1.sh" ;;
        esac
}

name_of() {
        basename "$1" .sh
}

# header CASE KEY DEFAULT: a "# key: value" line among the first thirty of a case.
header() {
        local value
        value=$(sed -n "1,30s/^# $2: *//p" "$(script_of "$1")" | head -n1)
        echo "${value:-$3}"
}

# The debug kernel is a 6.12, and some cases are for it alone.
suits_kernel() {
        case " $(header "$1" kernels "$ALL_KERNELS") " in
        *" $2 "*) return 0 ;;
        *" 6.12 "*) [ "$2" = debug ] ;;
        *) return 1 ;;
        esac
}

# wants_module CASE…: one of them loads chargehand.ko.
wants_module() {
        local c
        for c; do
                [ "$(header "$c" module no)" != yes ] || return 0
        done
        return 1
}

# suites_of CASE…: the Debian releases whose runtimes these cases want; SUITES by --env wins.
suites_of() {
        local c e list
        for c; do
                list=$(header "$c" suites "$([ "$(header "$c" boot shared)" != systemd ] || echo trixie)")
                [ -n "$list" ] || continue
                for e in ${ENV+"${ENV[@]}"}; do case $e in SUITES=*) list=${e#*=} ;; esac; done
                # shellcheck disable=SC2086 # a list of names
                printf '%s\n' $list
        done | awk '!seen[$0]++'
}

# cases_for KERNEL: the named cases, or all of the suite; those meant for other kernels are left out.
cases_for() {
        local c f
        if [ ${#CASES[@]} -gt 0 ]; then
                for c in "${CASES[@]}"; do
                        [ -r "$(script_of "$c")" ] || die "no case '$c'; there are: $(cd "$CASE_DIR" && echo *.sh | sed 's/\.sh//g')"
                        suits_kernel "$c" "$1" && echo "$c" || info "$c is not for $1"
                done
                return
        fi
        for f in "$CASE_DIR"/*.sh; do
                c=$(name_of "$f")
                [ -z "$MODULE" ] || wants_module "$c" || continue
                [ "$(header "$c" suite vm)" = "${SUITE:-vm}" ] && suits_kernel "$c" "$1" && echo "$c"
        done
        return 0
}

# --- what goes in -------------------------------------------------------------------------------

# build_program NAME FLAGS: init and the clock's measure are not part of the product, nor of its build.
build_program() {
        local src=$TOP/tests/vm/$1.c bin=$BUILD/vm/$1
        [ "$bin" -nt "$src" ] && return
        mkdir -p "$BUILD/vm"
        gcc -std=gnu11 -O2 -g $2 -Wall -o "$bin.$$" "$src" || die "cannot link $src; static ones need the libc.a of libc6-dev"
        mv "$bin.$$" "$bin"
}

# Our programs and libraries, flat in bin/, without the unit tests and meson's own.
stage_binaries() {
        local from=$BUILD/$FLAVOUR to=$1 file
        mkdir -p "$to"
        [ -d "$from" ] || return 0
        find "$from" \( -name '*.p' -o -name meson-\* -o -path '*/tests/unit' -o -path '*/tests/fuzz' \) -prune \
                -o -type f -perm -u+x -print -o -type l -name '*.so*' -print |
                while read -r file; do cp -al "$file" "$to/" 2>/dev/null || cp -a "$file" "$to/"; done
}

stage_modules() {
        local kernel=$1 to=$2 module=$3 release name file
        release=$(cat "$CACHE/kernel-$kernel/release")
        mkdir -p "$to/lib/modules/$release"
        for name in zram lzo-rle lz4 zstd overlay loop; do
                modprobe -d "$CACHE/kernel-$kernel/modules" -S "$release" --show-depends "$name" 2>/dev/null || true
        done | sed -n 's/^insmod //p' | sort -u |
                while read -r file; do cp "$file" "$to/lib/modules/$release/"; done
        [ -z "$module" ] || cp "$module" "$to/lib/modules/$release/chargehand.ko"
        depmod -b "$to" "$release" 2>/dev/null
}

# module_of KERNEL: our module for that kernel, built if need be.
module_of() {
        local ko=$BUILD/kmod/$1/chargehand.ko
        if [ -n "$DO_BUILD" ] || [ ! -e "$ko" ]; then
                "$TOP/tools/setup.sh" kmod && "$TOP/tools/kmod.sh" "$1" >/dev/null || return 1
        fi
        echo "$ko"
}

# make_payload KERNEL WORK CASE…: a tar, padded, that the guest reads from its second disk.
make_payload() {
        local kernel=$1 work=$2 dir=$2/payload c module=''
        shift 2
        ! wants_module "$@" || module=$(module_of "$kernel") || die "no chargehand.ko for $kernel, and the cases want it"
        mkdir -p "$dir/tests/cases" "$dir/tests/files" "$dir/system.d"
        cp "$BUILD/vm/init" "$dir/init"
        stage_binaries "$dir/bin"
        stage_modules "$kernel" "$dir" "$module"
        find "$TOP/tests/vm" -maxdepth 1 -type f -exec cp -a {} "$dir/tests/" \;
        cp -a "$CASE_DIR/." "$dir/tests/cases/"
        [ ${#FILES[@]} -eq 0 ] || cp -aL "${FILES[@]}" "$dir/tests/files/"
        find "$TOP/dbus" "$BUILD/$FLAVOUR/dbus" -maxdepth 1 \( -name 'org.chargehand1*.conf' -o -name 'org.freedesktop.systemd1.conf' \) \
                -exec cp {} "$dir/system.d/" \; 2>/dev/null || true
        [ "$kernel" != debug ] || cp -a "$CACHE/kernel-debug/selftests/." "$dir/tests/files/"
        printf '%s\n' "KERNEL=${kernel/debug/6.12}" "DEBUG=${kernel/[0-9]*/}" "SLOW=$SLOW" "ACCEL=$ACCEL" "TRY=$TRY" ${ENV+"${ENV[@]}"} >"$dir/env"
        for c; do
                case $c in /*) cp "$c" "$dir/tests/cases/$(name_of "$c").sh" ;; esac
                echo "$(name_of "$c") $(seconds "$(header "$c" timeout 60)")"
        done >"$dir/plan"
        tar -C "$dir" --owner=0 --group=0 -cf "$work/payload.tar" .
        truncate -s %1M "$work/payload.tar"
        truncate -s 64M "$work/out.raw"
}

seconds() {
        awk -v s="$1" -v f="$SLOW" 'BEGIN { printf "%d\n", s * f + 0.5 }'
}

# have_kernel KERNEL: fetched, or, for debug, built when there is none. It is not built anew behind one's back.
have_kernel() {
        if [ "$1" != debug ]; then
                "$TOP/tools/kernels.sh" "$1" >/dev/null
        elif [ ! -e "$CACHE/kernel-debug/release" ]; then
                "$TOP/tools/setup.sh" kernel && "$TOP/tools/kernel.sh" >/dev/null
        else
                "$TOP/tools/kernel.sh" --check
        fi
}

# Time limits are there to catch what hangs, not what waits for its turn: a busy machine stretches them.
choose_slow() {
        [ -n "$SLOW" ] ||
                SLOW=$(awk -v n="$(nproc)" '{ f = $1 / n; printf "%.1f\n", (f < 1 ? 1 : (f > 4 ? 4 : f)) }' /proc/loadavg)
}

# --- the machine --------------------------------------------------------------------------------

# disk ID FILE OPTIONS: an NVMe disk (the driver is built into the kernels) known by its serial number.
disk() {
        QEMU+=(-drive "file=$2,if=none,id=$1,format=raw,$3" -device "nvme,drive=$1,serial=$1")
}

# numa NODES MEM: each with its part of the memory, and sockets of one CPU each that go round.
numa() {
        local i
        for ((i = 0; i < $1; i++)); do
                QEMU+=(-object "memory-backend-ram,id=ram$i,size=$(($2 / $1))M"
                        -numa "node,nodeid=$i,memdev=ram$i")
        done
        for ((i = 0; i < CPUS; i++)); do
                QEMU+=(-numa "cpu,node-id=$((i % $1)),socket-id=$i,core-id=0,thread-id=0")
        done
        QEMU+=(-smp "$CPUS,sockets=$CPUS")
}

# qemu_args ACCEL KERNEL WORK MEM EXTRA_APPEND → QEMU
qemu_args() {
        local accel=$1 kernel=$2 work=$3 mem=$4 append suite
        CPUS=${CPUS:-2}
        append="root=PARTUUID=$ROOT_ID-01 rw init=/sbin/vm-init console=ttyS0 quiet panic=-1 mitigations=off audit=0"
        append+=" tsc=reliable no_timer_check cgroup_no_v1=all nowatchdog rcupdate.rcu_cpu_stall_suppress=1 $5"
        QEMU=(qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot
                -machine q35 -smp "$CPUS" -m "$mem" -kernel "$CACHE/kernel-$kernel/vmlinuz"
                -device "isa-debug-exit,iobase=0xf4,iosize=4")
        case $accel in
        kvm) QEMU+=(-accel kvm -cpu host) ;;
        *)
                QEMU+=(-accel "tcg,thread=multi,tb-size=512" -cpu max)
                append+=" tsc_early_khz=$("$BUILD/vm/tsc-khz")"
                ;;
        esac
        [ "${NUMA:-0}" -lt 2 ] || numa "$NUMA" "$mem"
        QEMU+=(-append "$append")
        [ "$ROOT_ID" != c4a76e4d ] || disk root "$ROOTFS" snapshot=on
        for suite in $SUITE_DISKS; do
                disk "suite-$suite" "$("$TOP/tools/suites.sh" "$suite")" snapshot=on
        done
        disk payload "$work/payload.tar" readonly=on
        disk out "$work/out.raw" cache=unsafe
}

# KVM may be there and hang guests (nested virtualisation): believe it only after a boot within seconds.
probe_kvm() {
        local mark work
        mark=$BUILD/vm/accel-$(cat /proc/sys/kernel/random/boot_id)
        if [ ! -e "$mark" ]; then
                ACCEL=tcg
                if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
                        work=$(mktemp -d "$BUILD/vm/run.XXXXXX")
                        make_payload "${KERNELS[0]}" "$work"
                        qemu_args kvm "${KERNELS[0]}" "$work" 1024 ""
                        (timeout -k 1 12 "${QEMU[@]}" -serial "file:$work/console" -serial "file:$work/verdict" \
                                </dev/null || true) >"$work/qemu.log" 2>&1
                        ! grep -q '^VERDICT ok' "$work/verdict" 2>/dev/null || ACCEL=kvm
                        rm -rf "$work"
                fi
                info "accelerator: $ACCEL (probed once per boot of this machine)"
                echo "$ACCEL" >"$mark"
        fi
        ACCEL=$(cat "$mark")
}

# Shows cases as they end; with --follow also what they print.
show() {
        awk -v follow="$FOLLOW" '
                /^\| / { last = substr($0, 3); if (follow) { print last; fflush() }; if (/^\| skip: /) reason = substr(last, 7) }
                /^START / { reason = last = "" }
                /^CASE / { printf "  %-8s %-28s %7.1f s  %s\n", $3, $2, $5, ($3 == "skip" ? reason : ($3 == "fail" ? last : "")); fflush() }
                /^VERDICT / { exit }'
}

# boot KERNEL WORK MEM LIMIT APPEND: runs the guest to its end; returns QEMU's exit code.
boot() {
        local work=$2 rc=0 pid viewer
        qemu_args "$ACCEL" "$1" "$work" "$3" "$5"
        : >"$work/verdict"
        timeout -k 5 "$4" "${QEMU[@]}" -serial "file:$work/console" -serial "file:$work/verdict" \
                >"$work/qemu.log" 2>&1 </dev/null &
        pid=$!
        RUNNING=$pid
        tail -s 0.1 --pid="$pid" -n +1 -f "$work/verdict" 2>/dev/null | show &
        viewer=$!
        wait "$pid" || rc=$?
        RUNNING=
        wait "$viewer" || true
        return "$rc"
}

# Splits the report into one log per case.
split_logs() {
        awk -v dir="$2" '
                /^START / { file = dir "/" $2 ".log"; printf "" >file; next }
                /^\| / { if (file) print substr($0, 3) >file; next }
                /^CASE / { print >file; close(file); file = "" }' "$1"
}

# --- one kernel -----------------------------------------------------------------------------------

biggest() {
        local key=$1 best=$2 c v
        shift 2
        for c; do
                v=$(header "$c" "$key" 0)
                [ "$v" -le "$best" ] || best=$v
        done
        echo "$best"
}

# A static key that the kernel flips (cpusets, cpu.max) patches running code; multi-threaded TCG may run
# the stale int3 afterwards on the other CPU, which no real machine does. Such a case gets another guest, three at most.
tripped() {
        [ "$ACCEL" = tcg ] && grep -q 'int3: 0000 \[#1\]' "$1"
}

# Boots until every given case has its result.
run_boots() {
        local kernel=$1 logs=$2
        shift 2
        LEFT=("$@")
        while [ ${#LEFT[@]} -gt 0 ]; do
                run_boot "$kernel" "$logs" "${LEFT[@]}"
        done
}

# One boot for the given cases. LEFT gets those that were not reached because the guest died.
run_boot() {
        local kernel=$1 logs=$2 work limit=60 c rc=0 append="" reached=1
        local ROOT_ID=$ROOT_ID SUITE_DISKS NUMA CPUS=$CPUS
        shift 2
        work=$(mktemp -d "$BUILD/vm/run.XXXXXX")
        WORK=$work
        make_payload "$kernel" "$work" "$@"
        for c; do
                limit=$((limit + $(seconds "$(header "$c" timeout 60)") + 15))
                append+=" $(header "$c" append "")"
        done
        NUMA=$(biggest numa 0 "$@")
        CPUS=${CPUS:-$(header "$1" cpus 2)}
        SUITE_DISKS=$(suites_of "$@")
        # shellcheck disable=SC2086 # a list of names
        [ -z "$SUITE_DISKS" ] || "$TOP/tools/suites.sh" $SUITE_DISKS >/dev/null || exit 1
        if [ "$(header "$1" boot shared)" = systemd ]; then
                ROOT_ID=$("$TOP/tools/suites.sh" --disk-id "${SUITE_DISKS%%$'\n'*}")
                append+=" chargehand.systemd"
        fi
        boot "$kernel" "$work" "${MEM:-$(($(biggest mem 2048 "$@") * WATCHED))}" "$limit" "$append" || rc=$?
        # A guest that dies may do so in the middle of a line.
        sed -i -e '$a\' "$work/verdict"
        split_logs "$work/verdict" "$logs"
        cat "$work/console" >>"$logs/console.log" 2>/dev/null || true
        tar -xf "$work/out.raw" -C "${OUT:-$logs/out}" 2>/dev/null || true
        LEFT=()
        for c; do
                if grep -qE "^CASE $(name_of "$c") (ok|skip|fail|timeout) " "$work/verdict"; then
                        continue
                elif [ -n "$reached" ] && tripped "$work/console" && [ "${RETRIED[$c]:-0}" -lt 3 ]; then
                        echo "  again    $(name_of "$c"): the emulator tripped over patched kernel code (int3)"
                        RETRIED[$c]=$((${RETRIED[$c]:-0} + 1))
                        LEFT+=("$c")
                        reached=''
                elif [ -n "$reached" ]; then
                        echo "  fail     $(name_of "$c"): the guest died or hung (qemu exit $rc); the end of its console:"
                        { grep -m 4 -E 'Kernel panic|BUG:|Oops|Out of memory' "$work/console"; echo ...; tail -n 8 "$work/console"; } |
                                sed 's/^/           /'
                        [ "$rc" -ne 1 ] || sed 's/^/           qemu: /' "$work/qemu.log"
                        echo "CASE $(name_of "$c") fail $rc 0" >>"$work/verdict"
                        reached=
                else
                        LEFT+=("$c")
                fi
        done
        # The result lines and the exit code must tell the same story.
        if [ -n "$reached" ] && ! tripped "$work/console" && ! { [ "$rc" -eq 33 ] && grep -q '^VERDICT ok' "$work/verdict"; } &&
                ! { [ "$rc" -eq 35 ] && grep -q '^VERDICT fail' "$work/verdict"; }; then
                echo "  fail     verdict '$(grep '^VERDICT' "$work/verdict" || echo none)' does not match qemu's exit code $rc"
                echo "CASE verdict fail $rc 0" >>"$work/verdict"
        fi
        grep -E '^(BOOT|CASE) ' "$work/verdict" >>"$logs/results" || true
        rm -rf "$work"
        WORK=
}

# Where nobody looks at a failure as it happens, it gets one more try, alone in a fresh guest. What passes then is no proof
# of a fault, but one of a case or of code that depends on luck: it counts as passed, and is told of with its first log.
try_again() {
        local kernel=$1 logs=$2 c name
        shift 2
        TRY=2
        for c; do
                name=$(name_of "$c")
                grep -qE "^CASE $name (fail|timeout) " "$logs/results" || continue
                echo "  again    $name: it failed; once more, in a fresh guest"
                sed -i "/^CASE $name /d" "$logs/results"
                [ ! -e "$logs/$name.log" ] || mv "$logs/$name.log" "$logs/$name.first.log"
                run_boots "$kernel" "$logs" "$c"
                grep -q "^CASE $name ok " "$logs/results" || continue
                sed -i "s/^CASE $name ok /CASE $name flaky /" "$logs/results"
                echo "  flaky    $name: it passed the second time; the end of build/vm/$kernel/$name.first.log:"
                tail -n 15 "$logs/$name.first.log" 2>/dev/null | sed 's/^/           /'
        done
        TRY=1
}

run_kernel() {
        local kernel=$1 logs list shared=() own=() c begin passed failed skipped flaky lost WATCHED=1 SLOW=$SLOW
        # Watching costs memory, and time: every access is checked, every lock remembered.
        [ "$kernel" != debug ] || { WATCHED=2 SLOW=$(awk -v f="$SLOW" 'BEGIN { print f * 6 }'); }
        list=$(cases_for "$kernel") || return 1
        [ -n "$list" ] || { echo "$kernel: no case to run"; return 0; }
        begin=$(date +%s.%N)
        # Gathered apart and put in place at the end: somebody else may be running on the same kernel.
        logs=$(mktemp -d "$BUILD/vm/logs.XXXXXX")
        LOGS=$logs
        mkdir -p "$logs/out"
        : >"$logs/results"
        : >"$logs/console.log"
        for c in $list; do
                if [ "$(header "$c" boot shared)" != shared ] || [ -n "$(header "$c" append "")$(header "$c" numa "")$(header "$c" cpus "")" ]; then
                        own+=("$c")
                else
                        shared+=("$c")
                fi
        done
        echo "kernel $kernel ($(cat "$CACHE/kernel-$kernel/release"), $ACCEL)"
        RETRIED=()
        [ ${#shared[@]} -eq 0 ] || run_boots "$kernel" "$logs" "${shared[@]}"
        for c in ${own+"${own[@]}"}; do
                run_boots "$kernel" "$logs" "$c"
        done
        # shellcheck disable=SC2086 # a list of names
        [ "${CI:-}" != true ] || try_again "$kernel" "$logs" $list
        mkdir -p "$BUILD/vm/$kernel"
        rm -f "$BUILD/vm/$kernel"/*.first.log
        cp -a "$logs/." "$BUILD/vm/$kernel/"
        passed=$(grep -cE '^CASE [^ ]* (ok|flaky)' "$logs/results" || true)
        flaky=$(grep -c '^CASE [^ ]* flaky' "$logs/results" || true)
        skipped=$(grep -c '^CASE [^ ]* skip' "$logs/results" || true)
        failed=$(grep -cE '^CASE [^ ]* (fail|timeout)' "$logs/results" || true)
        lost=$(($(wc -w <<<"$list") - passed - skipped - failed))
        [ "$lost" -le 0 ] || { echo "  fail     $lost cases have no result"; failed=$((failed + lost)); }
        show_failures "$logs" "$kernel"
        awk -v n="$kernel" -v p="$passed" -v f="$failed" -v s="$skipped" -v b="$begin" -v e="$(date +%s.%N)" '
                /^BOOT / { boot = $2 }
                END { printf "%s: %d passed, %d failed, %d skipped in %.1f s (guest up after %.1f s)\n", n, p, f, s, e - b, boot }
                ' "$logs/results"
        [ "$flaky" -eq 0 ] || echo "$kernel: of those that passed, $flaky did so only at the second try"
        tally "$passed" "$failed" "$skipped" "$flaky"
        rm -rf "$logs"
        LOGS=''
        [ "$failed" -eq 0 ]
}

show_failures() {
        local word name
        while read -r _ name word _; do
                case $word in fail | timeout) ;; *) continue ;; esac
                [ -e "$1/$name.log" ] || continue
                echo "--- $name ($word), the end of build/vm/$2/$name.log:"
                tail -n 25 "$1/$name.log" | sed 's/^/    /'
        done < <(grep '^CASE ' "$1/results")
}

run_shell() {
        local kernel=$1 work e
        work=$(mktemp -d "$BUILD/vm/run.XXXXXX")
        WORK=$work
        make_payload "$kernel" "$work"
        for e in ${ENV+"${ENV[@]}"}; do case $e in SUITES=*) SUITE_DISKS=${e#*=} ;; esac; done
        qemu_args "$ACCEL" "$kernel" "$work" "${MEM:-2048}" chargehand.shell
        echo "kernel $kernel ($ACCEL); leave with exit, or kill the guest with Ctrl-A X"
        "${QEMU[@]}" -chardev stdio,id=tty,mux=on,signal=off -serial chardev:tty -serial "file:$work/verdict" || true
        mkdir -p "$BUILD/vm/$kernel/out"
}

clean_up() {
        [ -z "${RUNNING:-}" ] || kill "$RUNNING" 2>/dev/null || true
        [ -z "${WORK:-}" ] || rm -rf "$WORK"
        [ -z "${LOGS:-}" ] || rm -rf "$LOGS"
}

main() {
        local k status=0
        parse "$@"
        if [ -n "$LIST" ]; then
                for k in "${KERNELS[@]}"; do cases_for "$k"; done | sort -u
                return 0
        fi
        for k in "${KERNELS[@]}"; do
                have_kernel "$k"
        done
        ROOTFS=$("$TOP/tools/rootfs.sh")
        [ -z "$DO_BUILD" ] || "$TOP/tools/build.sh" "$FLAVOUR"
        build_program init -static
        build_program tsc-khz ""
        trap clean_up EXIT
        trap 'exit 130' INT TERM
        RUNNING='' WORK='' LOGS='' LEFT=()
        choose_slow
        [ -n "$ACCEL" ] || probe_kvm
        if [ -n "$SHELL_MODE" ]; then
                run_shell "${KERNELS[0]}"
                return 0
        fi
        for k in "${KERNELS[@]}"; do
                run_kernel "$k" || status=1
        done
        return $status
}

# One line, so that an edit of this file does not disturb a run that is under way.
main "$@"; exit $?

#!/bin/bash
# Fetches stock Debian cloud kernels, once, into the cache: tools/kernels.sh VERSION…
#
# Prints one directory per version, holding vmlinuz, release (uname -r) and modules/. The package is
# found by name at run time through a private apt configuration (own lists, state and cache, Debian's
# own keyring), so that nothing of it mixes into the system; apt checks signatures and checksums.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
. "$(dirname "$0")/common.sh"

KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# Suites where a version may live, most wanted first; a comma joins suites that are searched together.
# Later ones are asked only if the version is not found.
suites_of() {
        case $1 in
        6.1) echo "bookworm,bookworm-security" ;;
        6.12) echo "bookworm-security trixie,trixie-security" ;;
        *) echo "sid forky experimental" ;;
        esac
}

# The mirrors this machine already uses; the public redirector where it has none.
mirror_of() {
        local suite=$1 kind=debian found
        case $suite in *-security) kind=debian-security ;; esac
        found=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
                sed 's,/*$,,' | grep -m1 "/$kind\$" || true)
        echo "${found:-http://deb.debian.org/$kind}"
}

# private_apt DIR SUITES: an apt world of its own below DIR.
private_apt() {
        local dir=$1 suite
        mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/parts"
        : >"$dir/status"
        for suite in ${2//,/ }; do
                echo "deb [arch=amd64 signed-by=$KEYRING] $(mirror_of "$suite") $suite main"
        done >"$dir/sources.list"
        {
                # The way out to the network (proxies, time-outs) is the machine's; everything else is ours.
                apt-config dump | grep -E '^Acquire::(http|https|ftp|Retries)' || true
                # Mirrors that lag behind an expired Release file are still signed, and what they give
                # only ever runs inside a throw-away guest: hence no Check-Valid-Until.
                cat <<CONF
Dir::State "$dir";
Dir::State::lists "$dir/lists";
Dir::State::status "$dir/status";
Dir::Cache "$dir/cache";
Dir::Etc::sourcelist "$dir/sources.list";
Dir::Etc::sourceparts "$dir/parts";
Dir::Etc::parts "$dir/parts";
Dir::Etc::main "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "$dir/parts";
Dir::Log "$dir";
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Acquire::Retries "3";
CONF
        } >"$dir/apt.conf"
}

# names_of VERSION: the packages that together make the newest signed cloud kernel of that version.
# Newer Debian releases split the image: vmlinuz in linux-binary, modules.order and .builtin in linux-base.
names_of() {
        local re=${1//./\\.} all release
        all=$(apt-cache pkgnames linux-)
        release=$(grep -oP "^linux-image-\K$re([-+~.][-+~.a-z0-9]*)?-cloud-amd64\$" <<<"$all" | sort -V | tail -n1)
        [ -n "$release" ] || return 1
        if grep -qxF "linux-binary-$release" <<<"$all"; then
                echo "linux-binary-$release linux-modules-$release linux-base-$release"
        else
                echo "linux-image-$release"
        fi
}

fetch_from() {
        local version=$1 suites=$2 work=$3 dir names
        dir=$CACHE/apt-${suites%%,*}
        private_apt "$dir" "$suites"
        export APT_CONFIG=$dir/apt.conf
        apt-get -qq update >"$work/apt.log" 2>&1 || { sed 's/^/   /' "$work/apt.log" >&2; return 1; }
        names=$(names_of "$version") || return 1
        info "kernel $version: $names from $suites"
        mkdir -p "$work/deb"
        # shellcheck disable=SC2086 # a list of package names
        (cd "$work/deb" && apt-get -qq download $names) || return 1
        unset APT_CONFIG
        rm -rf "$dir"
}

unpack() {
        local work=$1 deb image release
        for deb in "$work"/deb/*.deb; do
                dpkg-deb -x "$deb" "$work/tree"
        done
        image=$(find "$work/tree" -name 'vmlinuz*' -type f | head -n1)
        release=$(basename "$(find "$work/tree" -path '*/lib/modules/*/kernel' -prune -printf '%h\n' | head -n1)")
        [ -n "$image" ] && [ -n "$release" ] || die "no vmlinuz or no modules inside $(ls "$work/deb")"
        mkdir -p "$work/out/modules/lib/modules"
        mv "$image" "$work/out/vmlinuz"
        find "$work/tree" -path "*/lib/modules/$release" -type d -exec cp -a {} "$work/out/modules/lib/modules/" \;
        PATH=$PATH:/usr/sbin:/sbin depmod -b "$work/out/modules" "$release"
        echo "$release" >"$work/out/release"
}

fetch() {
        local version=$1 suites work
        [ -e "$CACHE/kernel-$version/release" ] && return
        [ -e "$KEYRING" ] || die "$KEYRING is missing; install debian-archive-keyring"
        work=$(mktemp -d "$CACHE/fetch.XXXXXX")
        for suites in $(suites_of "$version"); do
                if fetch_from "$version" "$suites" "$work"; then
                        unpack "$work"
                        mv "$work/out" "$CACHE/kernel-$version"
                        rm -rf "$work"
                        return
                fi
                unset APT_CONFIG
        done
        rm -rf "$work"
        die "no linux-image-$version…-cloud-amd64 in $(suites_of "$version"); is the network reachable?"
}

[ $# -gt 0 ] || die "usage: tools/kernels.sh VERSION…  (6.1, 6.12, 7.2)"
for version; do
        [[ $version =~ ^[0-9]+\.[0-9]+$ ]] || die "'$version' is not a kernel version such as 6.1"
        with_lock "$CACHE/kernel-$version.lock" fetch "$version"
        echo "$CACHE/kernel-$version"
done

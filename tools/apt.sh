# A private apt world for what the scripts of tools/ fetch from Debian releases other than the machine's own.
# Sourced after common.sh, never run.
# SPDX-License-Identifier: LGPL-2.1-or-later

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

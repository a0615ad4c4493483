# Checks of this machine, before setup changes anything. A failed check ends setup with one line that names the remedy.
# shellcheck shell=bash disable=SC2154,SC2034 # setup, which sources this file, shares its variables

# What the first run of a part takes: GiB of disk, including build output, and minutes on two processors.
declare -A disk=([demo]=4 [build]=14 [images]=8 [lint]=4 [cluster]=8 [test]=30 [bench]=8)
declare -A minutes=([demo]=3 [build]=10 [images]=20 [lint]=5 [cluster]=8 [test]=75 [bench]=40)
# What exists once a part has been compiled.
target=${CARGO_TARGET_DIR:-$PWD/target}
declare -A compiled=(
  [demo]=$target/quick/deps [build]=$target/debug/deps [lint]=$target/debug/deps [test]=$target/debug/deps
  [images]=$target/release/deps [bench]=$target/release/deps
  [cluster]=${TRACKYARD_CLUSTER_BIN:-${XDG_CACHE_HOME:-$HOME/.cache}/trackyard/cluster}/.built
)

check_rust() {
  local wanted found
  command -v cargo >/dev/null || die 'cargo is missing. Install Rust with rustup (https://rustup.rs), then run this again.'
  wanted=$(sed -nE 's/^rust-version = "(.*)"/\1/p' Cargo.toml)
  found=$(cargo --version 2>/dev/null | awk '{ print $2 }')
  [[ -n $found ]] || die 'cargo does not run; see cargo --version.'
  at_least "$found" "$wanted" || die "Rust $found is too old. Install $wanted or newer: rustup update stable."
}

check_kernel() {
  local release
  release=$(uname -r)
  at_least "$release" 5.19 ||
    die "Linux $release is too old: jobs need 5.19 or newer, which maps the owners of an image's files."
  grep -qw overlay /proc/filesystems || modprobe --dry-run overlay 2>/dev/null ||
    die 'this kernel has no overlay file system, which containers need. Install a kernel with the module overlay.'
}

# Checks the installed runc, or the one that would be installed.
check_runc() {
  local found
  if present runc; then
    found=$(PATH="$PATH:/usr/sbin" runc --version 2>/dev/null | awk 'NR == 1 { print $3 }')
  else
    found=$(apt-cache policy runc 2>/dev/null | awk '$1 == "Candidate:" { print $2 }')
  fi
  [[ -z $found || $found == '(none)' ]] || at_least "$found" 1.1 ||
    die "runc $found is too old. Install runc 1.1 or newer (https://github.com/opencontainers/runc/releases)."
}

check_go() {
  PATH="$PATH:/usr/local/go/bin" command -v go >/dev/null ||
    die 'go is missing, which compiles Kubernetes and the image builders for the tests. Install Go 1.26 or newer (https://go.dev/dl).'
}

# nearest DIRECTORY: prints the directory, or the nearest one above it that exists.
nearest() {
  local at=$1
  until [[ -d $at ]]; do at=$(dirname "$at"); done
  printf '%s\n' "$at"
}

# Checks for the disk that the largest part needs that has not been compiled yet; parts share most of their build output.
check_disk() {
  local part at free need=0 time=0
  for part in "${!parts[@]}"; do
    [[ ! -e ${compiled[$part]} ]] || continue
    # A demo with given programs compiles nothing.
    [[ $part != demo || -z ${PROGRAMS:-} ]] || continue
    need=$((need > disk[$part] ? need : disk[$part]))
    time=$((time > minutes[$part] ? time : minutes[$part]))
  done
  ((need)) || return 0
  at=$(nearest "$target")
  free=$(($(df --output=avail -k "$at" | tail -1) / 1048576))
  ((free >= need)) ||
    die "$at has $free GiB of free disk; $need GiB are needed. Make room, or set CARGO_TARGET_DIR to a larger disk."
  say "the first run takes about $time minutes on two processors, and $need GiB of disk"
}

check_apt() {
  command -v apt-get >/dev/null ||
    die "this is neither Debian nor Ubuntu. Install what has these names there: ${missing[*]}."
  [[ $(id -u) != 0 ]] || return 0
  command -v sudo >/dev/null || die "not root, and there is no sudo. Run as root: apt-get install ${missing[*]}."
  root=(sudo)
}

# Downloads the sources of the dependencies, which also checks the network.
fetch_crates() {
  cargo fetch --locked --quiet ||
    die 'the Rust crates that Cargo.lock names cannot be downloaded; check the network, or the [source] of your cargo configuration.'
}

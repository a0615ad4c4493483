#!/usr/bin/env bash
# run.sh: runs the fuzz targets, several at a time, and stops at the first crash. Run it by `make fuzz`.
#
#   FUZZ_SECONDS  seconds for each target (600)
#   FUZZ_JOBS     how many run at a time (2)
#   FUZZ_TARGETS  names of targets (all)
set -euo pipefail
cd "$(dirname "$0")/.."

cargo_fuzz=0.13.2
seconds=${FUZZ_SECONDS:-600}
jobs=${FUZZ_JOBS:-2}
out=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
bin=$out/$(rustc -vV | sed -n 's/^host: //p')/release

say() { printf 'fuzz: %s\n' "$*" >&2; }

mapfile -t all < <(basename -s .rs fuzz/fuzz_targets/*.rs)
read -ra targets <<<"${FUZZ_TARGETS:-${all[*]}}"
for target in "${targets[@]}"; do
  [ -e "fuzz/fuzz_targets/$target.rs" ] || { say "there is no target $target; there are: ${all[*]}"; exit 2; }
done

if [ "$(cargo fuzz --version 2>/dev/null)" != "cargo-fuzz $cargo_fuzz" ]; then
  say "installing cargo-fuzz $cargo_fuzz (a minute, once)"
  cargo install --locked --quiet cargo-fuzz --version "$cargo_fuzz"
fi
say 'building the targets (some minutes, the first time)'
# Without sanitizers, which need a nightly compiler: the code is safe Rust, so the targets look for panics and broken
# properties.
CARGO_TARGET_DIR=$out cargo fuzz build --sanitizer none

# As root, because layers are unpacked with their owners; in memory, because a disk would be too slow.
root=()
[ "$(id -u)" = 0 ] || root=(sudo -E)
base=/dev/shm
[ -w "$base" ] || base=${TMPDIR:-/tmp}
scratch=$(mktemp -d -p "$base" trackyard-fuzz.XXXXXX)

declare -A running=()
cleanup() {
  for pid in "${!running[@]}"; do "${root[@]}" kill "$pid" 2>/dev/null || true; done
  wait
  "${root[@]}" rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

start() {
  local target=$1 dictionary=()
  mkdir -p "$out/corpus/$target" "$out/crashes/$target" "$out/logs" "$scratch/$target"
  [ ! -e "fuzz/dictionaries/$target.dict" ] || dictionary=("-dict=fuzz/dictionaries/$target.dict")
  say "$target for $seconds s"
  "${root[@]}" env TMPDIR="$scratch/$target" "$bin/$target" "$out/corpus/$target" "fuzz/corpus/$target" \
    "${dictionary[@]}" -max_total_time="$seconds" -max_len=32768 -rss_limit_mb=2048 -timeout=10 \
    -artifact_prefix="$out/crashes/$target/" -print_final_stats=1 >"$out/logs/$target" 2>&1 &
  running[$!]=$target
}

# Waits until one of the running targets ends.
finish() {
  local pid code=0
  wait -n -p pid "${!running[@]}" || code=$?
  local target=${running[$pid]}
  unset "running[$pid]"
  local log=$out/logs/$target input
  if ((code != 0)); then
    input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    tail -n 40 "$log" >&2
    say "$target failed (status $code). Its input: ${input:-none was written; see $log}"
    say "replay it:  ${root[*]} $bin/$target ${input:-INPUT}"
    say "once it is fixed, keep the input as fuzz/corpus/$target/NAME; \`make test\` replays it"
    exit 1
  fi
  say "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs," \
    "$(sed -n 's/^stat::new_units_added: *//p' "$log") new inputs"
}

for target in "${targets[@]}"; do
  ((${#running[@]} < jobs)) || finish
  start "$target"
done
while ((${#running[@]} > 0)); do finish; done
say "nothing found; new inputs are in $out/corpus"

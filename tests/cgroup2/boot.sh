#!/usr/bin/env bash
# boot.sh TESTS.ext4 SECONDS: boots the machine with that disk, shows its console, and ends as its suite did; 124 if it
# did not within that time.
set -euo pipefail
# shellcheck source=tests/cgroup2/common.sh
. "$(dirname "$0")/common.sh"
tests=$1
seconds=$2
# How long a machine may take to its first program, with an accelerator that works.
probe_seconds=15
results=$(mktemp -d)
qemu=
trap '[ -z "$qemu" ] || kill -KILL "$qemu" 2>/dev/null || true; rm -rf "$results"' EXIT

# qemu with the arguments that every machine here has. $1: accelerator, $2: processor, $3: how many, $4: more for the kernel.
machine() {
  local accelerator=$1 processor=$2 processors=$3 more=$4
  shift 4
  exec qemu-system-x86_64 -machine q35 -accel "$accelerator" -cpu "$processor" -m 4096 -smp "$processors" \
    -nographic -nodefaults -no-reboot -serial stdio \
    -kernel "$cache/vmlinuz" -initrd "$cache/initramfs.gz" \
    -append "console=ttyS0 quiet panic=-1 mitigations=off $more" "$@"
}

# KVM may open and then hang, as where machines are nested: only what has run is believed.
kvm_works() {
  [ -w /dev/kvm ] || return 1
  (machine kvm host,arch-capabilities=off 2 probe=1 </dev/null >"$results/probe" 2>&1) &
  local left=$probe_seconds
  qemu=$!
  while kill -0 "$qemu" 2>/dev/null && [ "$left" -gt 0 ]; do
    sleep 1
    left=$((left - 1))
  done
  kill -KILL "$qemu" 2>/dev/null || true
  wait "$qemu" 2>/dev/null || true
  grep -q 'this accelerator works' "$results/probe"
}

if kvm_works; then
  accelerator=kvm processor=host,arch-capabilities=off processors=2 arguments='slowness=2' clock=()
  say 'with KVM'
else
  # The machine's clock goes by the instructions that its one processor has executed, a nanosecond each, not by the time
  # that this machine takes for them. So to the programs in it their processor seems usable, and no deadline passes only
  # because it is emulated. The processor's counter is the clock that is read fastest; wide registers are emulated slowly.
  accelerator=tcg,thread=single processor=max,-avx,-avx2 processors=1 clock=(-icount 'shift=0,sleep=on')
  arguments='slowness=4 tsc=reliable clocksource=tsc'
  say 'KVM does not work here: emulated, which takes long'
fi

: >"$results/console"
(machine "$accelerator" "$processor" "$processors" "$arguments" "${clock[@]}" \
  -drive "file=$cache/base.ext4,format=raw,if=virtio,snapshot=on" \
  -drive "file=$tests,format=raw,if=virtio,readonly=on" \
  -serial "file:$results/exit" </dev/null >"$results/console" 2>&1) &
qemu=$!
tail -n +1 -f --pid="$qemu" "$results/console" | sed -un 's/\r$//; s/^.*\(cgroup2: .*\)/\1/p' &
for ((left = seconds; left > 0; left--)); do
  kill -0 "$qemu" 2>/dev/null || break
  sleep 1
done
late=false
kill -KILL "$qemu" 2>/dev/null && late=true
wait "$qemu" 2>/dev/null || true
wait
code=$(tr -cd 0-9 <"$results/exit")
"$late" && code=124
if [ "${code:-1}" != 0 ]; then
  say 'the end of its console:'
  tail -n 150 "$results/console" | tr -d '\r' >&2
fi
if "$late"; then die "not within $seconds s"; fi
[ -n "$code" ] || die 'the machine ended without a result'
exit "$code"

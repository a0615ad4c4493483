#!/usr/bin/env bash
# boot.sh TESTS.ext4 SECONDS: boots the machine with that disk, shows its console, and exits as its suite did, or with 124
# after that time.
set -euo pipefail
# shellcheck source=tests/cgroup2/common.sh
. "$(dirname "$0")/common.sh"
tests=$1
seconds=$2
# How long a machine with a working accelerator may take to start its first program.
probe_seconds=15
results=$(mktemp -d)
qemu=
trap '[ -z "$qemu" ] || kill -KILL "$qemu" 2>/dev/null || true; rm -rf "$results"' EXIT

# machine ACCELERATOR PROCESSOR PROCESSORS KERNEL_ARGUMENTS [QEMU_ARGUMENT...]
machine() {
  local accelerator=$1 processor=$2 processors=$3 arguments=$4
  shift 4
  exec qemu-system-x86_64 -machine q35 -accel "$accelerator" -cpu "$processor" -m 4096 -smp "$processors" \
    -nographic -nodefaults -no-reboot -serial stdio \
    -kernel "$cache/vmlinuz" -initrd "$cache/initramfs.gz" \
    -append "console=ttyS0 quiet panic=-1 mitigations=off $arguments" "$@"
}

# On nested virtual machines KVM may open and then hang, so boot a machine to see whether it works.
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
  # The machine's clock counts the instructions of its single processor, a nanosecond each, not the time that this machine
  # takes to emulate them. So no deadline in it passes only because of the emulation. The timestamp counter is the clock
  # that is read fastest; wide registers are slow to emulate.
  accelerator=tcg,thread=single processor=max,-avx,-avx2 processors=1 clock=(-icount 'shift=0,sleep=on')
  arguments='slowness=4 tsc=reliable clocksource=tsc'
  say 'KVM does not work here; emulating the machine, which takes longer'
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
timed_out=false
kill -KILL "$qemu" 2>/dev/null && timed_out=true
wait "$qemu" 2>/dev/null || true
wait
code=$(tr -cd 0-9 <"$results/exit")
"$timed_out" && code=124
if [ "${code:-1}" != 0 ]; then
  say 'the end of the console:'
  tail -n 150 "$results/console" | tr -d '\r' >&2
fi
if "$timed_out"; then die "the tests did not end within $seconds s; set CGROUP2_SECONDS to allow more"; fi
[ -n "$code" ] || die 'the machine ended without a result'
exit "$code"

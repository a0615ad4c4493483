#!/bin/busybox sh
# shellcheck shell=dash
# The first program of the virtual machine: loads the modules that read the disk, and boots from it.
set -e
busybox=/bin/busybox
$busybox mount -t proc proc /proc
$busybox mount -t devtmpfs dev /dev
while read -r module; do $busybox insmod "/modules/$module"; done </modules/order
if $busybox grep -qw probe=1 /proc/cmdline; then
  echo 'cgroup2: this accelerator works'
  $busybox poweroff -f
fi
$busybox mount -t ext4 -o noatime /dev/vda /root
$busybox mount -t ext4 -o ro,noatime /dev/vdb /root/tests
$busybox mount --move /dev /root/dev
$busybox umount /proc
exec $busybox switch_root /root /bin/bash /tests/guest/boot.sh

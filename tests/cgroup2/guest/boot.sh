#!/bin/bash
# The first process after the switch to the disk: mounts, runs the suite, reports its exit code, and powers off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
ln -s /proc/self/fd /dev/fd
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
busybox ip link set lo up
# Modules that no program loads by itself.
modprobe -a overlay br_netfilter
hostname cgroup2
# In a session of its own, so that no program takes the console as its terminal.
setsid /tests/guest/suite.sh </dev/null
echo "$?" >/dev/ttyS1
sync
echo o >/proc/sysrq-trigger
sleep 60

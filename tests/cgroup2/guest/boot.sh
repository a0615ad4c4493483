#!/bin/bash
# The first process after the switch to the disk: mounts, runs the suite, writes how it ended, switches off.
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
# What no program asks for by itself.
modprobe -a overlay br_netfilter
hostname cgroup2
# Its own terminal, so that the console is the kernel's and the suite's alone.
setsid /tests/guest/suite.sh </dev/null
echo "$?" >/dev/ttyS1
sync
echo o >/proc/sysrq-trigger
sleep 60

//! A build's processes, in a cgroup and a pid namespace of their own.

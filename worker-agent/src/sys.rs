//! The few system calls that no crate offers safely. This is the only module of the project with `unsafe` code.
#![expect(
    unsafe_code,
    reason = "fork, unshare and mount_setattr have no safe form; each use says why it is sound"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use tokio::io::unix::AsyncFd;

/// Gives this process a mount namespace of its own. Call it before a second thread exists: only the calling thread
/// moves.
///
/// # Errors
/// Without `CAP_SYS_ADMIN`.
pub fn unshare_mounts() -> io::Result<()> {
    // SAFETY: only unsharing descriptor tables (CLONE_FILES) is unsound; this unshares mounts.
    Ok(unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?)
}

/// Gives this process a cgroup namespace of its own, whose root is the group that the process is in. Call it
/// before a second thread exists: only the calling thread moves.
///
/// # Errors
/// Without `CAP_SYS_ADMIN`.
pub fn unshare_cgroups() -> io::Result<()> {
    // SAFETY: only unsharing descriptor tables (CLONE_FILES) is unsound; this unshares cgroups.
    Ok(unsafe { unshare_unsafe(UnshareFlags::NEWCGROUP) }?)
}

/// Makes a detached mount read-only, without set-id bits and devices, and maps its owners by `user_namespace` if one is
/// given.
///
/// # Errors
/// When the kernel or the file system cannot map owners (`EINVAL`, `ENOSYS`, `EPERM`).
pub fn restrict_mount(mount: BorrowedFd<'_>, user_namespace: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let idmap = if user_namespace.is_some() { libc::MOUNT_ATTR_IDMAP } else { 0 };
    let attr = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | idmap,
        attr_clr: 0,
        propagation: 0,
        userns_fd: user_namespace.map_or(0, |fd| u64::from(fd.as_raw_fd().unsigned_abs())),
    };
    // SAFETY: the path is a constant C string, `attr` is a live struct of the size that is passed, and both
    // descriptors are borrowed for the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes a user namespace that maps `count` ids, from 0 in it to `base` outside. It lives as long as the descriptor.
///
/// # Errors
/// When user namespaces are switched off, or this process may not map the ids.
pub fn user_namespace(base: u32, count: u32) -> io::Result<OwnedFd> {
    let holder = NamespaceHolder::start()?;
    let map = format!("0 {base} {count}");
    let file = |name: &str| format!("/proc/{}/{name}", holder.0.as_raw_nonzero());
    std::fs::write(file("uid_map"), &map)?;
    std::fs::write(file("gid_map"), &map)?;
    Ok(std::fs::File::open(file("ns/user"))?.into())
}

/// A process that only keeps its new user namespace alive, until this is dropped.
struct NamespaceHolder(Pid);

impl NamespaceHolder {
    fn start() -> io::Result<Self> {
        // SAFETY: no memory is shared with the child (no CLONE_VM), no pointer is passed, and the child calls
        // nothing but `pause` and `_exit`, which are safe even in a copy of a process with threads.
        let pid = unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_NEWUSER | libc::SIGCHLD, 0, 0, 0, 0) };
        if pid == 0 {
            loop {
                // SAFETY: as above. The kernel kills this process when its parent dies.
                unsafe {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    libc::pause();
                }
            }
        }
        let pid = i32::try_from(pid).ok().filter(|pid| *pid > 0).and_then(Pid::from_raw);
        pid.map(Self).ok_or_else(io::Error::last_os_error)
    }
}

impl Drop for NamespaceHolder {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
        let _ = waitpid(Some(self.0), WaitOptions::empty());
    }
}

/// Registers a pidfd with the runtime, so that the process's exit can be awaited.
///
/// # Errors
/// Outside of a runtime, or when no descriptor is left.
pub fn async_pidfd(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an owned descriptor stays open and the same until the `AsyncFd` that owns it is dropped.
    Ok(unsafe { AsyncFd::register(pidfd) }?)
}

/// The process that [`fork`] returned in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fork {
    /// The process that called.
    Parent {
        /// The new process.
        child: Pid,
    },
    /// The new process. It must end with [`exit_child`].
    Child,
}

/// Forks this process. Call it before a second thread exists.
///
/// # Errors
/// When the process has threads already, or the machine allows no further process.
pub fn fork() -> io::Result<Fork> {
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    if threads != 1 {
        return Err(io::Error::other(format!("{threads} threads exist already: fork before any is started")));
    }
    // SAFETY: this process has one thread, so the child is a whole and consistent copy of it.
    match unsafe { libc::fork() } {
        0 => Ok(Fork::Child),
        -1 => Err(io::Error::last_os_error()),
        pid => Pid::from_raw(pid).map(|child| Fork::Parent { child }).ok_or_else(io::Error::last_os_error),
    }
}

/// Ends a forked process without running the destructors of what it copied from its parent.
pub fn exit_child() -> ! {
    // SAFETY: always sound, because it runs no code of this process.
    unsafe { libc::_exit(0) }
}

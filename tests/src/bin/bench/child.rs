//! Processes that end with the bench.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process that is killed when this is dropped.
pub struct Running(Child);

impl Running {
    /// Starts `command` with its output thrown away.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Self)
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Either it runs, or it has ended by itself: both are fine here.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The bench itself, in another role.
pub fn role(arguments: &[&str]) -> io::Result<Running> {
    Running::start(Command::new(std::env::current_exe()?).args(arguments))
}

/// A binary that was built beside this one.
pub fn sibling(name: &str) -> io::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if path.exists() {
        return Ok(path);
    }
    Err(io::Error::other(format!("{} is missing; `make bench` builds it", path.display())))
}

/// A loopback port that nothing uses now.
pub fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// Waits until something listens.
pub fn wait_for(address: SocketAddr) -> io::Result<()> {
    wait_until(&format!("a listener at {address}"), || TcpStream::connect(address).is_ok())
}

/// Waits until `done` says so, at most 30 seconds.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) -> io::Result<()> {
    let end = Instant::now() + Duration::from_secs(30);
    while !done() {
        if Instant::now() > end {
            return Err(io::Error::other(format!("no {what} within 30 s")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Writes `text` to a file of `folder`.
pub fn file(folder: &Path, name: &str, text: &str) -> io::Result<PathBuf> {
    let path = folder.join(name);
    std::fs::write(&path, text)?;
    Ok(path)
}

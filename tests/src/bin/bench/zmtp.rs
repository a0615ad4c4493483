//! A minimal ZMTP 3.0 client (rfc.zeromq.org/spec/23) that costs little CPU: one DEALER connection, NULL security.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

const GREETING_LENGTH: usize = 64;
const LONG_FLAG: u8 = 2;
const COMMAND_FLAG: u8 = 4;
const MORE_FLAG: u8 = 1;

/// A non-blocking connection after its handshake.
pub(crate) struct Connection {
    stream: TcpStream,
    inbound: Vec<u8>,
    read_to: usize,
    outbound: Vec<u8>,
}

impl Connection {
    /// Connects and does the handshake, blocking.
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let mut greeting = [0_u8; GREETING_LENGTH];
        greeting[0] = 0xff;
        greeting[9] = 0x7f;
        greeting[10] = 3;
        greeting[12..16].copy_from_slice(b"NULL");
        stream.write_all(&greeting)?;
        let mut ready = b"\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER".to_vec();
        ready.splice(0..0, [COMMAND_FLAG, u8::try_from(ready.len()).map_err(io::Error::other)?]);
        stream.write_all(&ready)?;
        stream.read_exact(&mut [0_u8; GREETING_LENGTH])?;
        let mut header = [0_u8; 2];
        stream.read_exact(&mut header)?;
        stream.read_exact(&mut vec![0; header[1].into()])?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, inbound: vec![0; 1 << 16], read_to: 0, outbound: Vec::new() })
    }

    /// Returns the stream to wait for.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Queues `[empty, body]`.
    pub(crate) fn queue(&mut self, body: &[u8]) {
        self.outbound.extend_from_slice(&[MORE_FLAG, 0]);
        match u8::try_from(body.len()) {
            Ok(short) => self.outbound.extend_from_slice(&[0, short]),
            Err(_) => {
                self.outbound.push(LONG_FLAG);
                self.outbound.extend_from_slice(&(body.len() as u64).to_be_bytes());
            }
        }
        self.outbound.extend_from_slice(body);
    }

    /// Sends what is queued, as far as the kernel accepts it.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.outbound.is_empty() {
            match self.stream.write(&self.outbound) {
                Ok(sent) => drop(self.outbound.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what has arrived, and calls `on_answer` with each message's last frame.
    pub(crate) fn receive(&mut self, mut on_answer: impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            if self.read_to == self.inbound.len() {
                self.inbound.resize(self.inbound.len() * 2, 0);
            }
            match self.stream.read(&mut self.inbound[self.read_to..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.read_to += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        let mut at = 0;
        while let Some((flags, body)) = frame(&self.inbound[at..self.read_to]) {
            at += body.end;
            if flags & (MORE_FLAG | COMMAND_FLAG) == 0 {
                on_answer(&self.inbound[at - body.len()..at]);
            }
        }
        self.inbound.copy_within(at..self.read_to, 0);
        self.read_to -= at;
        Ok(())
    }
}

/// Returns the flags of the first complete frame, and the range of its body.
fn frame(bytes: &[u8]) -> Option<(u8, std::ops::Range<usize>)> {
    let flags = *bytes.first()?;
    let (start, length) = if flags & LONG_FLAG == 0 {
        (2_usize, usize::from(*bytes.get(1)?))
    } else {
        (9, usize::try_from(u64::from_be_bytes(bytes.get(1..9)?.try_into().ok()?)).ok()?)
    };
    let end = start.checked_add(length)?;
    (bytes.len() >= end).then_some((flags, start..end))
}

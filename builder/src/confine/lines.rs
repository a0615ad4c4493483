//! A program's output, line by line.

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

/// The longest line; the rest of a longer one is left out.
const MAX_LINE: usize = 16 << 10;
/// Lines that wait to be taken; a program that prints faster waits.
const WAITING: usize = 256;

/// Reads both pipes until they end.
pub(super) fn read_lines(
    stdout: Option<impl AsyncRead + Unpin + Send + 'static>,
    stderr: Option<impl AsyncRead + Unpin + Send + 'static>,
) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(WAITING);
    if let Some(pipe) = stdout {
        tokio::spawn(read(pipe, sender.clone()));
    }
    if let Some(pipe) = stderr {
        tokio::spawn(read(pipe, sender));
    }
    receiver
}

async fn read(mut pipe: impl AsyncRead + Unpin, to: mpsc::Sender<String>) {
    let (mut buffer, mut line) = (vec![0; 8 << 10], Vec::new());
    while let Ok(count) = pipe.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        for byte in buffer.iter().take(count) {
            match byte {
                // Progress bars end their lines with a return.
                b'\n' | b'\r' if line.is_empty() => {}
                b'\n' | b'\r' => {
                    if to.send(String::from_utf8_lossy(&line).into_owned()).await.is_err() {
                        return;
                    }
                    line.clear();
                }
                byte if line.len() < MAX_LINE => line.push(*byte),
                _ => {}
            }
        }
    }
    if !line.is_empty() {
        let _ = to.send(String::from_utf8_lossy(&line).into_owned()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_cut_and_the_last_needs_no_end() {
        let text = format!("one\r\n\ntwo\r{}\nlast", "x".repeat(MAX_LINE + 5));
        let mut lines = read_lines(Some(std::io::Cursor::new(text.into_bytes())), None::<tokio::io::Empty>);
        let mut read = Vec::new();
        while let Some(line) = lines.recv().await {
            read.push(line.len());
        }
        assert_eq!(read, [3, 3, MAX_LINE, 4]);
    }
}

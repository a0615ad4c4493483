//! Reads a program's output line by line.

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

/// Maximum length of a line in bytes; the rest of a longer line is dropped.
const MAX_LINE_BYTES: usize = 16 << 10;
/// Maximum number of unread lines; then the program has to wait.
const MAX_PENDING_LINES: usize = 256;

/// Reads both pipes until they end.
pub(super) fn read_lines(
    stdout: Option<impl AsyncRead + Unpin + Send + 'static>,
    stderr: Option<impl AsyncRead + Unpin + Send + 'static>,
) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(MAX_PENDING_LINES);
    if let Some(pipe) = stdout {
        tokio::spawn(read(pipe, sender.clone()));
    }
    if let Some(pipe) = stderr {
        tokio::spawn(read(pipe, sender));
    }
    receiver
}

async fn read(mut pipe: impl AsyncRead + Unpin, to: mpsc::Sender<String>) {
    let mut buffer = vec![0; 8 << 10];
    let mut line = Vec::new();
    while let Ok(count) = pipe.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        for byte in buffer.iter().take(count) {
            match byte {
                // Progress bars end their lines with a carriage return.
                b'\n' | b'\r' if line.is_empty() => {}
                b'\n' | b'\r' => {
                    if to.send(String::from_utf8_lossy(&line).into_owned()).await.is_err() {
                        return;
                    }
                    line.clear();
                }
                byte if line.len() < MAX_LINE_BYTES => line.push(*byte),
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
    async fn long_lines_are_cut() {
        let text = format!("one\r\n\ntwo\r{}\nlast", "x".repeat(MAX_LINE_BYTES + 5));
        let mut lines = read_lines(Some(std::io::Cursor::new(text.into_bytes())), None::<tokio::io::Empty>);
        let mut read = Vec::new();
        while let Some(line) = lines.recv().await {
            read.push(line.len());
        }
        assert_eq!(read, [3, 3, MAX_LINE_BYTES, 4]);
    }
}

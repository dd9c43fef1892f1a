//! The one request the laboratory makes itself: creating an object in a Kubernetes API without TLS.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Posts `body`, JSON, and returns the status of the answer.
pub fn post(server: SocketAddr, path: &str, body: &str) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {server}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )?;
    // "HTTP/1.1 201": the rest says nothing that is needed.
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    status(&start).ok_or_else(|| io::Error::other("no HTTP answer"))
}

fn status(start: &[u8]) -> Option<u16> {
    let code = start.strip_prefix(b"HTTP/1.1 ")?;
    std::str::from_utf8(code).ok()?.parse().ok()
}

const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_in_the_first_line() {
        assert_eq!(status(b"HTTP/1.1 409"), Some(409));
        assert_eq!(status(b"SSH-2.0-Open"), None);
    }
}

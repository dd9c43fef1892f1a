//! Routers' terminal sockets, by which their operators ask them: BIRD's, and those of FRR's daemons.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// One command to BIRD. Each line of the answer begins with a code of four digits and `-`, or a space where the code is the
/// last one's; after the code of the last line there is a space.
pub fn bird(socket: &Path, command: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut lines = BufReader::new(stream.try_clone().ok()?);
    let mut greeting = String::new();
    lines.read_line(&mut greeting).ok()?;
    writeln!(stream, "{command}").ok()?;
    let mut answer = String::new();
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).ok().filter(|length| *length > 0)?;
        match (line.get(..4), line.get(4..5)) {
            (Some(code), Some(mark)) if code.bytes().all(|octet| octet.is_ascii_digit()) => {
                answer += line.get(5..).unwrap_or_default();
                if mark == " " {
                    return Some(answer);
                }
            }
            _ => answer += line.get(1..).unwrap_or_default(),
        }
    }
}

/// Commands to one of FRR's daemons, one after another, and the answer to the last one. Each ends with a zero octet; each
/// answer with three, and the outcome.
pub fn frr(socket: &Path, commands: &[&str]) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut answer = String::new();
    for command in commands {
        stream.write_all(command.as_bytes()).and_then(|()| stream.write_all(&[0])).ok()?;
        let mut octets = Vec::new();
        let mut piece = [0; 16_384];
        while !matches!(octets.as_slice(), [.., 0, 0, 0, _]) {
            let length = stream.read(&mut piece).ok().filter(|length| *length > 0)?;
            octets.extend_from_slice(piece.get(..length)?);
        }
        octets.truncate(octets.len() - 4);
        answer = String::from_utf8_lossy(&octets).into_owned();
    }
    Some(answer)
}

//! A router that counts what it is told and keeps nothing.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use vipcast::clock;

/// What came up to End-of-RIB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    /// Without End-of-RIB.
    pub(crate) updates: usize,
    /// Of those.
    pub(crate) octets: usize,
    /// From the first one on until the last one was read.
    pub(crate) span: Duration,
}

/// Takes one session, and counts.
pub(crate) fn hear(listener: &TcpListener, own_as: u32) -> Heard {
    let mut stream = accept(listener, own_as);
    let (mut updates, mut octets, mut first) = (0, 0, None::<Instant>);
    loop {
        let (kind, body) = message(&mut stream).unwrap();
        let length = HEADER + body.len();
        match (kind, length) {
            (UPDATE, END_OF_RIB) => {
                let span = first.map(|first| clock::now() - first).unwrap_or_default();
                return Heard { updates, octets, span };
            }
            (UPDATE, _) => {
                first.get_or_insert_with(clock::now);
                updates += 1;
                octets += length;
            }
            (NOTIFICATION, _) => panic!("the announcer refuses the counter"),
            _ => (),
        }
    }
}

/// Takes one session, which is Established when this returns.
pub(crate) fn accept(listener: &TcpListener, own_as: u32) -> TcpStream {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(&open(own_as)).unwrap();
    message(&mut stream).unwrap();
    stream.write_all(&header(19, KEEPALIVE)).unwrap();
    stream
}

/// The type of the next message, and what comes after its header.
pub(crate) fn message(stream: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let mut header = [0; HEADER];
    stream.read_exact(&mut header)?;
    let length = u16::from_be_bytes([header[16], header[17]]);
    let mut body = vec![0; usize::from(length) - HEADER];
    stream.read_exact(&mut body)?;
    Ok((header[18], body))
}

/// With the capabilities for IPv4 (RFC 4760) and four octets (RFC 6793).
fn open(own_as: u32) -> Vec<u8> {
    let [a, b, c, d] = own_as.to_be_bytes();
    let capabilities = [1, 4, 0, 1, 0, 1, 65, 4, a, b, c, d];
    let mut body = vec![4, c, d, 0, 90, 10, 88, 0, 1, 14, 2, 12];
    body.extend(capabilities);
    let length = u16::try_from(19 + body.len()).unwrap();
    [header(length, OPEN).as_slice(), &body].concat()
}

fn header(length: u16, kind: u8) -> [u8; 19] {
    let mut header = [0xff; 19];
    [header[16], header[17]] = length.to_be_bytes();
    header[18] = kind;
    header
}

const HEADER: usize = 19;
const OPEN: u8 = 1;
pub(crate) const UPDATE: u8 = 2;
const NOTIFICATION: u8 = 3;
const KEEPALIVE: u8 = 4;
/// An UPDATE of IPv4 that says nothing (RFC 4724 §2).
const END_OF_RIB: usize = 23;

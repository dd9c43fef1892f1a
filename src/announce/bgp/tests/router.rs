//! A router that does what the test says, and shows every octet that it is sent.

use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::BytesMut;
use socket2::{Domain, SockRef, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use vipcast_proto::bgp::types::{Asn, Capability, Family, GracefulRestart, Notification, Open};
use vipcast_proto::bgp::wire::encode;

/// Where sessions are waited for.
pub(super) struct Router {
    pub(super) listener: TcpListener,
}

/// One session.
pub(super) struct Side {
    pub(super) stream: TcpStream,
    buffer: BytesMut,
    /// The first message that came.
    pub(super) open: Vec<u8>,
}

impl Router {
    pub(super) async fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    /// One that the kernel queues hardly anything for.
    pub(super) fn narrow() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None).unwrap();
        socket.set_recv_buffer_size(2048).unwrap();
        socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(4).unwrap();
        Self { listener: TcpListener::from_std(socket.into()).unwrap() }
    }

    pub(super) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// A connection, and nothing said.
    pub(super) async fn accept(&self) -> Side {
        let (stream, _) = within(self.listener.accept()).await.unwrap();
        Side { stream, buffer: BytesMut::new(), open: vec![] }
    }

    /// A session that is established.
    pub(super) async fn session(&self) -> Side {
        self.session_as(65001, None).await
    }

    pub(super) async fn session_as(&self, asn: u32, restart: Option<GracefulRestart>) -> Side {
        let mut side = self.accept().await;
        side.open = side.message().await.unwrap();
        side.send_open(asn, restart).await;
        side.keepalive().await;
        side
    }
}

impl Side {
    pub(super) async fn send_open(&mut self, asn: u32, restart: Option<GracefulRestart>) {
        let mut capabilities = vec![
            Capability::MultiProtocol(Family::IPV4_UNICAST),
            Capability::FourOctetAs(Asn(asn)),
            Capability::RouteRefresh,
        ];
        capabilities.extend(restart.map(Capability::GracefulRestart));
        let open = Open {
            my_as: Asn(asn).two_octets(),
            hold_time: 9,
            identifier: Ipv4Addr::new(192, 0, 2, 254),
            capabilities,
        };
        let mut octets = BytesMut::new();
        encode::open(&open, &mut octets);
        self.send(&octets).await;
    }

    pub(super) async fn keepalive(&mut self) {
        let mut octets = BytesMut::new();
        encode::keepalive(&mut octets);
        self.send(&octets).await;
    }

    pub(super) async fn notify(&mut self, code: u8, subcode: u8, data: &'static [u8]) {
        let mut octets = BytesMut::new();
        encode::notification(&Notification { code, subcode, data: data.into() }, &mut octets);
        self.send(&octets).await;
    }

    pub(super) async fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
    }

    /// The next message, whole; `None` where the connection has ended.
    pub(super) async fn message(&mut self) -> Option<Vec<u8>> {
        loop {
            let length =
                self.buffer.get(16..18).map(|length| usize::from(u16::from_be_bytes([length[0], length[1]])));
            if let Some(length) = length.filter(|length| self.buffer.len() >= *length) {
                return Some(self.buffer.split_to(length).to_vec());
            }
            match within(self.stream.read_buf(&mut self.buffer)).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next message that is no KEEPALIVE, in hexadecimal and without the marker.
    pub(super) async fn next(&mut self) -> Option<String> {
        loop {
            let message = self.message().await?;
            if message[18] != 4 {
                return Some(message[16..].iter().map(|octet| format!("{octet:02x}")).collect());
            }
        }
    }

    pub(super) fn linger_zero(&self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

pub(super) async fn within<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(5), future).await.expect("nothing happened for five seconds")
}

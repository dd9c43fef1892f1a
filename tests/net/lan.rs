//! Two nodes and a cable, and what is asked of them.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use tokio::task::JoinSet;
use tokio::time::timeout;
use vipcast::clock::pause;
use vipcast::net::namespace::Namespace;
use vipcast::net::netlink::{Change, Changes, Netlink};
use vipcast::net::socket::FrameSocket;
use vipcast::net::wiring::LinkState;
use vipcast_proto::l2::ethernet::MacAddr;

pub(crate) const V4: &str = "192.0.2.100";
pub(crate) const V6: &str = "2001:db8::100";
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

pub(crate) fn net(address: &str) -> IpNet {
    IpNet::from(ip(address))
}

/// Two nodes and a cable; `eth0` at both ends.
pub(crate) struct Lan {
    pub(crate) a: Namespace,
    pub(crate) b: Namespace,
    pub(crate) index: u32,
    pub(crate) mac_a: MacAddr,
    pub(crate) mac_b: MacAddr,
}

impl Lan {
    pub(crate) fn new() -> Self {
        let namespace =
            || Namespace::create().expect("these tests make network namespaces: run them as root");
        let (a, b) = (namespace(), namespace());
        a.add_veth("eth0", &b, "eth0").unwrap();
        let (mac_a, mac_b) = (MacAddr::from([2, 0, 0x5e, 0, 0, 0xa]), MacAddr::from([2, 0, 0x5e, 0, 0, 0xb]));
        for (end, mac) in [(&a, mac_a), (&b, mac_b)] {
            end.set_mac("eth0", mac).unwrap();
            end.set_link("eth0", LinkState::Up).unwrap();
        }
        let index = a.link_index("eth0").unwrap();
        let lan = Self { a, b, index, mac_a, mac_b };
        lan.carrier(&lan.a);
        lan.carrier(&lan.b);
        lan
    }

    pub(crate) fn carrier(&self, end: &Namespace) {
        let up = async || {
            let (netlink, _changes, driver) = Netlink::connect().unwrap();
            let mut tasks = JoinSet::new();
            tasks.spawn(driver);
            while !netlink
                .interfaces()
                .await
                .unwrap()
                .iter()
                .any(|interface| interface.name == "eth0" && interface.up)
            {
                pause(Duration::from_millis(1)).await;
            }
        };
        end.block_on(async || timeout(SOON, up()).await.expect("the cable has a carrier")).unwrap();
    }

    pub(crate) fn sockets(&self) -> (FrameSocket, FrameSocket) {
        let index_b = self.b.link_index("eth0").unwrap();
        let a = self.a.open(|| FrameSocket::open(self.index, self.mac_a)).unwrap();
        let b = self.b.open(|| FrameSocket::open(index_b, self.mac_b)).unwrap();
        (a.unwrap(), b.unwrap())
    }
}

pub(crate) struct Node {
    pub(crate) netlink: Netlink,
    pub(crate) changes: Changes,
    pub(crate) driver: JoinSet<()>,
}

impl Node {
    pub(crate) fn connect(namespace: &Namespace) -> Self {
        let mut tasks = JoinSet::new();
        let (netlink, changes) = namespace
            .open(|| {
                let (netlink, changes, driver) = Netlink::connect().unwrap();
                tasks.spawn(driver);
                (netlink, changes)
            })
            .unwrap();
        Self { netlink, changes, driver: tasks }
    }

    pub(crate) async fn change(&mut self) -> Change {
        timeout(SOON, self.changes.next()).await.expect("a change within ten seconds").unwrap()
    }

    pub(crate) async fn gone(&mut self) -> Change {
        loop {
            match self.change().await {
                gone @ Change::AddressGone { .. } => return gone,
                Change::Link { .. } | Change::Overrun => {}
            }
        }
    }
}

pub(crate) fn shell(script: &str) -> String {
    let output = std::process::Command::new("sh").args(["-c", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

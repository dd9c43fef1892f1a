//! From a peer's settings to a connection: its address, its key, our own addresses, and words where it does not come about.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use vipcast_proto::bgp::adj_rib_out::Local;

use super::settings::{At, Authentication, Password, Reach};
use crate::net::netlink::{Interface, Netlink};
use crate::net::tcp::Dial;
use crate::net::tcp_key::{Key, Refusals};
use crate::net::{NetError, routers};

/// What attempts to connect need beside the peer's settings.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Addresses that are never our end of anything.
    pub vips: Arc<BTreeSet<IpAddr>>,
    /// Passwords from Kubernetes Secrets, by namespace, name and key.
    pub secrets: watch::Receiver<BTreeMap<(String, String, String), String>>,
    /// How many interfaces have come up.
    pub links: watch::Receiver<u64>,
}

/// A connection and the addresses that packets can be sent to at our end of it.
#[derive(Debug)]
pub(super) struct Dialled {
    pub(super) stream: TcpStream,
    pub(super) local: Local,
}

/// Connects within `limit`, or says in words why not.
pub(super) async fn dial(
    reach: Reach,
    surroundings: Surroundings,
    user_timeout: Option<Duration>,
    limit: Duration,
) -> Result<Dialled, String> {
    let interfaces = interfaces().await.map_err(|error| error.to_string())?;
    let remote = remote(&reach, &interfaces, limit).await?;
    let key = key(reach.authentication.as_ref(), &surroundings)?;
    let source = reach.source.or_else(|| own_address(&reach, remote.ip(), &interfaces, &surroundings.vips));
    let dial = Dial {
        remote,
        local: source,
        interface: reach.interface().map(ToOwned::to_owned),
        ttl: reach.ttl,
        minimum_ttl: reach.minimum_ttl,
        key,
        user_timeout,
    };
    let before = Refusals::read();
    // A router that had to be found first has taken half of the time.
    let limit = if reach.address().is_some() { limit } else { limit / 2 };
    match timeout(limit, dial.connect()).await {
        Ok(Ok(stream)) => {
            let own = stream.local_addr().map_err(|error| error.to_string())?.ip();
            let local = local(own, remote.ip(), &interfaces, &surroundings.vips);
            Ok(Dialled { stream, local })
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(silence(&dial, limit, Refusals::read().since(before))),
    }
}

/// Nobody answers; there are usual reasons.
fn silence(dial: &Dial, limit: Duration, refused: Option<&'static str>) -> String {
    let why = match (&dial.key, refused) {
        (Some(_), Some(refused)) => refused.to_owned(),
        (Some(key), None) => format!("it may have another {} password, or none", key.name()),
        (None, _) if dial.minimum_ttl.is_some() => "it may be farther away than GTSM permits".into(),
        (None, _) => "it may expect a password, or a filter drops what is sent to it".into(),
    };
    format!("no answer from {} within {limit:?}: {why}", dial.peer())
}

async fn interfaces() -> Result<Vec<Interface>, NetError> {
    let (netlink, _changes, driving) = Netlink::connect()?;
    let mut driver = JoinSet::new();
    driver.spawn(driving);
    netlink.interfaces().await
}

async fn remote(reach: &Reach, interfaces: &[Interface], limit: Duration) -> Result<SocketAddr, String> {
    let index = |name: &str| {
        let found = interfaces.iter().find(|interface| interface.name == name);
        found.map(|interface| interface.index).ok_or_else(|| format!("interface {name} does not exist"))
    };
    match &reach.at {
        At::Address(address) => Ok(SocketAddr::new(*address, reach.port)),
        At::LinkLocal(address, name) => Ok(SocketAddrV6::new(*address, reach.port, 0, index(name)?).into()),
        At::Unnumbered(name) => {
            let index = index(name)?;
            let found = timeout(limit / 2, routers::find(name, index)).await;
            let found = found.map_err(|_| format!("no router advertises itself on interface {name}"))?;
            let address = found.map_err(|error| format!("cannot listen to routers on {name}: {error}"))?;
            Ok(SocketAddrV6::new(address, reach.port, 0, index).into())
        }
    }
}

fn key(authentication: Option<&Authentication>, surroundings: &Surroundings) -> Result<Option<Key>, String> {
    Ok(match authentication {
        None => None,
        Some(Authentication::Md5(password)) => Some(Key::Md5(read(password, surroundings)?)),
        Some(Authentication::Ao { password, send_id, receive_id, algorithm }) => Some(Key::Ao {
            secret: read(password, surroundings)?,
            send_id: *send_id,
            receive_id: *receive_id,
            algorithm,
        }),
    })
}

fn read(password: &Password, surroundings: &Surroundings) -> Result<String, String> {
    match password {
        Password::Given(password) => Ok(password.clone()),
        Password::File(path) => {
            let text = fs::read_to_string(path)
                .map_err(|error| format!("cannot read the password in {}: {error}", path.display()))?;
            let line = text.strip_suffix('\n').unwrap_or(&text);
            Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
        }
        Password::Kubernetes(namespace, name, key) => {
            let place = (namespace.clone(), name.clone(), key.clone());
            let secrets = surroundings.secrets.borrow();
            secrets.get(&place).cloned().ok_or_else(|| {
                format!("the password in Secret {namespace}/{name}, key {key}, has not been read yet")
            })
        }
    }
}

/// On an interface that was named, an address that is no VIP. Otherwise the kernel chooses, and VIPs are never source
/// addresses there, being deprecated.
fn own_address(
    reach: &Reach,
    remote: IpAddr,
    interfaces: &[Interface],
    vips: &BTreeSet<IpAddr>,
) -> Option<IpAddr> {
    let name = reach.interface.as_deref()?;
    let interface = interfaces.iter().find(|interface| interface.name == name)?;
    let fits = |address: &IpAddr| {
        address.is_ipv4() == remote.is_ipv4() && is_link_local(*address) == is_link_local(remote)
    };
    addresses(interface, vips).find(fits)
}

/// What "next hop self" can be: the session's own address, and what else its interface has.
fn local(own: IpAddr, remote: IpAddr, interfaces: &[Interface], vips: &BTreeSet<IpAddr>) -> Local {
    let has = |interface: &&Interface| interface.addresses.iter().any(|net| net.addr() == own);
    let mut local = Local::default();
    if let Some(interface) = interfaces.iter().find(has) {
        let on_link = is_link_local(remote) || interface.addresses.iter().any(|net| net.contains(&remote));
        for address in addresses(interface, vips) {
            match address {
                IpAddr::V4(address) => local.v4 = local.v4.or(Some(address)),
                IpAddr::V6(address) if !address.is_unicast_link_local() => {
                    local.v6 = local.v6.or(Some(address));
                }
                IpAddr::V6(address) if on_link => local.link_local = local.link_local.or(Some(address)),
                IpAddr::V6(_) => {}
            }
        }
    }
    match own {
        IpAddr::V4(own) => local.v4 = Some(own),
        IpAddr::V6(own) if own.is_unicast_link_local() => local.link_local = Some(own),
        IpAddr::V6(own) => local.v6 = Some(own),
    }
    local
}

fn addresses<'a>(interface: &'a Interface, vips: &'a BTreeSet<IpAddr>) -> impl Iterator<Item = IpAddr> + 'a {
    let usable = |address: &IpAddr| !vips.contains(address) && !address.is_loopback();
    interface.addresses.iter().map(|net| net.addr()).filter(usable)
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if Ipv6Addr::is_unicast_link_local(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, addresses: &[&str]) -> Interface {
        Interface {
            index: 2,
            name: name.into(),
            mac: None,
            up: true,
            loopback: false,
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            master: None,
        }
    }

    #[test]
    fn packets_can_be_sent_to_what_the_sessions_interface_has_but_not_to_a_vip() {
        let all = [
            interface("eth0", &["10.0.0.9/24", "2001:db8:9::9/64"]),
            interface(
                "eth1",
                &["192.0.2.100/32", "10.1.0.1/24", "fe80::1/64", "2001:db8::100/128", "2001:db8::1/64"],
            ),
        ];
        let vips = ["192.0.2.100", "2001:db8::100"].map(|vip| vip.parse().unwrap()).into();
        let found =
            |own: &str, remote: &str| local(own.parse().unwrap(), remote.parse().unwrap(), &all, &vips);
        let near = Local {
            v4: Some([10, 1, 0, 1].into()),
            v6: Some("2001:db8::1".parse().unwrap()),
            link_local: Some("fe80::1".parse().unwrap()),
        };
        assert_eq!(found("10.1.0.1", "10.1.0.254"), near);
        assert_eq!(found("2001:db8::1", "2001:db8::fe"), near);
        // A link-local next hop is for those on the link (RFC 2545 §3).
        assert_eq!(found("10.1.0.1", "203.0.113.1"), Local { link_local: None, ..near });
        let own = Local { v4: Some([10, 7, 0, 1].into()), ..Local::default() };
        assert_eq!(found("10.7.0.1", "10.1.0.254"), own);
    }
}

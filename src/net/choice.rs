//! Which interface a VIP belongs to, when nobody says so.

use std::net::IpAddr;

use super::netlink::Interface;

/// Why no interface could be chosen; each message says what to set.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ChoiceError {
    /// The name that was given is wrong.
    #[error("interface {name} does not exist; set vip_interface to one of: {existing}")]
    Missing {
        /// The name that was given.
        name: String,
        /// The interfaces that exist.
        existing: String,
    },
    /// Several interfaces are on the VIP's network.
    #[error("{vip} is on the network of several interfaces; set vip_interface to one of: {candidates}")]
    Ambiguous {
        /// The VIP.
        vip: IpAddr,
        /// The interfaces to choose from.
        candidates: String,
    },
    /// No prefix contains the VIP, and nothing else helps.
    #[error(
        "no interface is on the network of {vip}, and there is no default route; set vip_interface to one of: {existing}"
    )]
    NoneFits {
        /// The VIP.
        vip: IpAddr,
        /// The interfaces that exist.
        existing: String,
    },
}

/// The interface for `vip`: the one that is `named`; else the one with the most specific prefix that contains the VIP;
/// else that of the default route.
///
/// Loopback and the ports of a bridge, bond or VRF are not chosen by prefix. A host prefix does not count: it is no
/// network, and is most likely the VIP itself, left over from an earlier life.
///
/// # Errors
/// There is none, or more than one.
pub fn choose<'a>(
    interfaces: &'a [Interface],
    named: Option<&str>,
    vip: IpAddr,
    default_route: Option<u32>,
) -> Result<&'a Interface, ChoiceError> {
    if let Some(name) = named {
        let missing = || ChoiceError::Missing { name: name.to_owned(), existing: names(interfaces) };
        return interfaces.iter().find(|interface| interface.name == name).ok_or_else(missing);
    }
    match on_network_of(vip, interfaces).as_slice() {
        [only] => Ok(only),
        [] => interfaces
            .iter()
            .find(|interface| Some(interface.index) == default_route)
            .ok_or_else(|| ChoiceError::NoneFits { vip, existing: names(interfaces) }),
        several => Err(ChoiceError::Ambiguous { vip, candidates: names(several.iter().copied()) }),
    }
}

fn on_network_of(vip: IpAddr, interfaces: &[Interface]) -> Vec<&Interface> {
    let best = interfaces.iter().filter_map(|interface| specificity(interface, vip)).max();
    interfaces.iter().filter(|interface| best.is_some() && specificity(interface, vip) == best).collect()
}

/// The length of the longest prefix of `interface` that contains `vip`.
fn specificity(interface: &Interface, vip: IpAddr) -> Option<u8> {
    let candidate = !interface.loopback && interface.master.is_none();
    let prefixes = interface.addresses.iter().filter(|prefix| candidate && prefix.contains(&vip));
    prefixes
        .filter(|prefix| prefix.prefix_len() < prefix.max_prefix_len())
        .map(ipnet::IpNet::prefix_len)
        .max()
}

fn names<'a>(interfaces: impl IntoIterator<Item = &'a Interface>) -> String {
    let names: Vec<&str> = interfaces.into_iter().map(|interface| interface.name.as_str()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIP: &str = "192.168.1.100";

    fn interface(index: u32, name: &str, addresses: &[&str]) -> Interface {
        Interface {
            index,
            name: name.to_owned(),
            mac: None,
            up: true,
            loopback: false,
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            master: None,
        }
    }

    fn chosen(
        interfaces: &[Interface],
        vip: &str,
        default_route: Option<u32>,
    ) -> Result<String, ChoiceError> {
        choose(interfaces, None, vip.parse().unwrap(), default_route).map(|interface| interface.name.clone())
    }

    #[test]
    fn a_name_decides_before_every_prefix() {
        let all = [interface(2, "eth0", &["192.168.1.1/24"]), interface(3, "eth1", &[])];
        assert_eq!(choose(&all, Some("eth1"), VIP.parse().unwrap(), None), Ok(&all[1]));
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_right_ones() {
        let all = [interface(2, "eth0", &[]), interface(3, "eth1", &[])];
        let error = choose(&all, Some("ens3"), VIP.parse().unwrap(), Some(2)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "interface ens3 does not exist; set vip_interface to one of: eth0, eth1"
        );
    }

    #[test]
    fn the_most_specific_prefix_that_contains_the_vip_decides() {
        let all = [
            interface(2, "eth0", &["192.168.0.1/16", "fd00::1/64"]),
            interface(3, "eth1", &["10.0.0.1/8", "192.168.1.1/24"]),
        ];
        assert_eq!(chosen(&all, VIP, Some(2)).as_deref(), Ok("eth1"));
        assert_eq!(chosen(&all, "192.168.2.1", Some(3)).as_deref(), Ok("eth0"));
        assert_eq!(chosen(&all, "fd00::100", None).as_deref(), Ok("eth0"));
    }

    #[test]
    fn a_leftover_of_the_vip_itself_does_not_decide() {
        let all = [interface(2, "eth0", &["192.168.1.1/24"]), interface(3, "eth1", &["192.168.1.100/32"])];
        assert_eq!(chosen(&all, VIP, None).as_deref(), Ok("eth0"));
    }

    #[test]
    fn loopback_and_ports_are_not_chosen() {
        let loopback = Interface { loopback: true, ..interface(1, "lo", &["192.168.1.1/24"]) };
        let port = Interface { master: Some(4), ..interface(2, "eth0", &["192.168.1.1/24"]) };
        let all = [loopback, port, interface(4, "br0", &["192.168.1.1/24"])];
        assert_eq!(chosen(&all, VIP, None).as_deref(), Ok("br0"));
    }

    #[test]
    fn two_prefixes_of_one_interface_are_no_ambiguity() {
        let all = [interface(2, "eth0", &["192.168.1.1/24", "192.168.1.2/24"])];
        assert_eq!(chosen(&all, VIP, None).as_deref(), Ok("eth0"));
    }

    #[test]
    fn two_interfaces_on_the_same_network_are_named() {
        let nets = ["192.168.1.1/24"];
        let all = [interface(2, "eth0", &nets), interface(3, "eth1", &nets), interface(4, "eth2", &[])];
        let error = chosen(&all, VIP, Some(2)).unwrap_err();
        let expected =
            "192.168.1.100 is on the network of several interfaces; set vip_interface to one of: eth0, eth1";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn the_default_route_decides_where_no_prefix_does() {
        let all = [interface(2, "eth0", &["10.0.0.1/8"]), interface(3, "eth1", &["172.16.0.1/12"])];
        assert_eq!(chosen(&all, VIP, Some(3)).as_deref(), Ok("eth1"));
    }

    #[test]
    fn without_prefix_and_default_route_all_interfaces_are_named() {
        let all = [interface(1, "lo", &[]), interface(2, "eth0", &["10.0.0.1/8"])];
        let expected = "no interface is on the network of 192.168.1.100, and there is no default route; \
                        set vip_interface to one of: lo, eth0";
        assert_eq!(chosen(&all, VIP, None).unwrap_err().to_string(), expected);
    }
}

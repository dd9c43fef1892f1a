//! Namespaces and the cables between them, made by iproute2 and nftables.

use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;

use vipcast::demo::lab::namespace::Namespace;

use super::support::in_path;

/// A namespace that several may hold.
pub(crate) type Net = Arc<Namespace>;

/// An empty one.
pub(crate) fn net() -> Net {
    Arc::new(Namespace::create().unwrap())
}

/// A cable: `near` gets the interface `name`, `far` the interface `other`.
pub(crate) fn cable((near, name): (&Net, &str), (far, other): (&Net, &str)) {
    let there = format!("/proc/{}/fd/{}", std::process::id(), far.number());
    ip(near, &[&format!("link add {name} up type veth peer name {other} netns {there}")]);
    ip(far, &[&format!("link set {other} up")]);
}

/// Addresses as `10.88.0.1/24`.
pub(crate) fn addresses(net: &Net, interface: &str, addresses: &[&str]) {
    let command = |address: &&str| match address.contains(':') {
        true => format!("address add {address} dev {interface} nodad"),
        false => format!("address add {address} dev {interface}"),
    };
    let commands: Vec<String> = addresses.iter().map(command).collect();
    ip(net, &commands.iter().map(String::as_str).collect::<Vec<_>>());
}

/// Packets are forwarded.
pub(crate) fn forward(net: &Net) {
    net.run(|| {
        for setting in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            std::fs::write(format!("/proc/sys/net/{setting}"), "1").unwrap();
        }
    })
    .unwrap();
}

/// Lines for `ip -batch`.
pub(crate) fn ip(net: &Net, lines: &[&str]) {
    feed(net, "ip", &["-batch", "-"], &lines.join("\n"));
}

/// A script for `nft -f`.
pub(crate) fn nft(net: &Net, script: &str) {
    feed(net, "nft", &["-f", "-"], script);
}

/// Everything that carries BGP data and comes from `from` is lost on its way in; bare acknowledgements arrive.
pub(crate) fn lose_data(net: &Net, from: IpAddr) {
    let family = if from.is_ipv4() { "ip" } else { "ip6" };
    nft(
        net,
        &format!(
            "table inet deaf {{ chain in {{ type filter hook input priority 0; \
             {family} saddr {from} tcp flags & psh == psh drop; }}; }}"
        ),
    );
}

/// What [`lose_data`] did is over.
pub(crate) fn lose_nothing(net: &Net) {
    nft(net, "delete table inet deaf");
}

/// What a program inside the namespace prints.
pub(crate) fn output(net: &Net, program: &str, arguments: &[&str]) -> Output {
    let path = in_path(program).unwrap_or_else(|| program.into());
    net.command(&path).unwrap().args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// Whether somebody listens on the TCP port.
pub(crate) fn listens(net: &Net, port: u16) -> bool {
    let listening = |file: &str| {
        let table =
            std::fs::read_to_string(Path::new("/proc/thread-self/net").join(file)).unwrap_or_default();
        let wanted = format!(":{port:04X}");
        table.lines().any(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            matches!(fields.as_slice(), [_, local, _, LISTEN, ..] if local.ends_with(&wanted))
        })
    };
    net.run(|| listening("tcp") || listening("tcp6")).unwrap()
}

/// Whether somebody receives on the UDP port.
pub(crate) fn receives(net: &Net, port: u16) -> bool {
    let bound = |file: &str| {
        let table =
            std::fs::read_to_string(Path::new("/proc/thread-self/net").join(file)).unwrap_or_default();
        let wanted = format!(":{port:04X}");
        table.lines().any(|line| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&wanted)))
    };
    net.run(|| bound("udp") || bound("udp6")).unwrap()
}

/// The link-local address of an interface.
pub(crate) fn link_local(net: &Net, interface: &str) -> IpAddr {
    let said = output(net, "ip", &["-6", "-o", "address", "show", "dev", interface, "scope", "link"]).stdout;
    let said = String::from_utf8(said).unwrap();
    let address = said.split_whitespace().find_map(|word| word.split_once('/')).unwrap().0;
    address.parse().unwrap()
}

fn feed(net: &Net, program: &str, arguments: &[&str], input: &str) {
    let mut command = net.command(&in_path(program).unwrap()).unwrap();
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program}: {said}\n{input}");
}

/// As the kernel writes the state in its table.
const LISTEN: &str = "0A";

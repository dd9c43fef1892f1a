//! Which address to dial for given credentials: the local API server wherever there is one.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use hyper::Uri;

use super::choice::Source;

/// Where an API server is dialled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// Scheme, host and port.
    pub url: String,
    /// The name that its certificate has to have, where that is not the host.
    pub tls_server_name: Option<String>,
    /// Why this address.
    pub why: Why,
}

/// Why an address is dialled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// The credentials say so.
    AsGiven,
    /// `kubernetes_addr` says so.
    Configured,
    /// The credentials name a VIP that we are to provide: reaching it would need what it is for.
    VipInCredentials,
    /// This is a control-plane node with kubeadm's files: its own server is the one to ask.
    ControlPlaneNode,
}

/// What the choice depends on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EndpointSettings {
    /// `kubernetes_addr`: a URL, a host or a host with port.
    pub kubernetes_addr: Option<String>,
    /// The port of the local API server, where the configuration says one.
    pub api_port: Option<u16>,
    /// Whether an API server runs on this node.
    pub control_plane: bool,
    /// The addresses that this daemon provides.
    pub vips: BTreeSet<IpAddr>,
    /// Whether a ServiceAccount may read where the API servers are.
    pub account_finds_servers: bool,
}

/// The address for credentials from `source` that name `server`.
#[must_use]
pub fn endpoint(source: &Source, server: &Uri, named: Option<&str>, settings: &EndpointSettings) -> Endpoint {
    if let Some(addr) = &settings.kubernetes_addr {
        return configured(addr, server, named, settings);
    }
    let why = if host_ip(server.host().unwrap_or_default()).is_some_and(|ip| settings.vips.contains(&ip)) {
        Why::VipInCredentials
    } else if settings.control_plane && from_kubeadm(source) {
        Why::ControlPlaneNode
    } else {
        return Endpoint {
            url: server.to_string(),
            tls_server_name: named.map(str::to_owned),
            why: Why::AsGiven,
        };
    };
    let (url, tls_server_name) = own(server, settings);
    Endpoint { url, tls_server_name, why }
}

/// URL and TLS name of this node's own server, for whoever dials `server`; `None` where that is loopback already.
#[must_use]
pub(super) fn local(server: &Uri, settings: &EndpointSettings) -> Option<(String, Option<String>)> {
    let host = server.host().unwrap_or_default();
    let already = host == "localhost" || host_ip(host).is_some_and(|ip| ip.is_loopback());
    (!already).then(|| own(server, settings))
}

/// Whether the same credentials are good for the API servers of other nodes: they are an administrator's, of whom the
/// distribution says that they lead to this node's own; or a ServiceAccount's, which lead to any.
#[must_use]
pub(super) fn is_one_of_many(source: &Source, dialled: &Endpoint, settings: &EndpointSettings) -> bool {
    let host = dialled.url.parse::<Uri>().ok().and_then(|uri| host_ip(uri.host()?));
    let distribution = match source {
        Source::Admin(_) | Source::SuperAdmin(_) | Source::K3s(_) | Source::Rke2(_) => true,
        Source::Configured(_) | Source::Environment(_) => {
            matches!(dialled.why, Why::ControlPlaneNode | Why::VipInCredentials)
        }
        Source::InCluster(_) => return settings.account_finds_servers && dialled.why == Why::AsGiven,
        Source::Home(_) => false,
    };
    distribution && host.is_some_and(|ip| ip.is_loopback())
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AsGiven => "as the credentials say",
            Self::Configured => "as kubernetes_addr says",
            Self::VipInCredentials => "the local server, since the credentials name a VIP of ours",
            Self::ControlPlaneNode => "the local server, since this is a control-plane node",
        })
    }
}

fn own(server: &Uri, settings: &EndpointSettings) -> (String, Option<String>) {
    let port = settings.api_port.or_else(|| server.port_u16()).unwrap_or(API_PORT);
    let url = format!("{}://127.0.0.1:{port}", server.scheme_str().unwrap_or("https"));
    let name = tls_server_name(&url);
    (url, name)
}

/// kubeadm's certificates name `kubernetes`, but not 127.0.0.1.
fn tls_server_name(url: &str) -> Option<String> {
    url.starts_with("https:").then(|| "kubernetes".to_owned())
}

fn configured(addr: &str, server: &Uri, named: Option<&str>, settings: &EndpointSettings) -> Endpoint {
    let url = if addr.contains("://") { addr.to_owned() } else { complete(addr, server, settings) };
    let host = url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
    match host {
        Some(host) if named.is_none() && host_ip(&host).is_some_and(|ip| ip.is_loopback()) => {
            Endpoint { tls_server_name: tls_server_name(&url), url, why: Why::Configured }
        }
        _ => Endpoint { url, tls_server_name: named.map(str::to_owned), why: Why::Configured },
    }
}

fn complete(addr: &str, server: &Uri, settings: &EndpointSettings) -> String {
    let scheme = server.scheme_str().unwrap_or("https");
    let port = settings.api_port.or_else(|| server.port_u16()).unwrap_or(API_PORT);
    match addr.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) => format!("{scheme}://[{ip}]:{port}"),
        Ok(IpAddr::V4(ip)) => format!("{scheme}://{ip}:{port}"),
        Err(_) if has_port(addr) => format!("{scheme}://{addr}"),
        Err(_) => format!("{scheme}://{addr}:{port}"),
    }
}

fn has_port(addr: &str) -> bool {
    addr.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

fn from_kubeadm(source: &Source) -> bool {
    let kubeadm = |name| source.path().ends_with("etc/kubernetes".to_owned() + "/" + name);
    match source {
        Source::Admin(_) | Source::SuperAdmin(_) => true,
        Source::Configured(_) | Source::Environment(_) => {
            kubeadm("admin.conf") || kubeadm("super-admin.conf")
        }
        Source::K3s(_) | Source::Rke2(_) | Source::InCluster(_) | Source::Home(_) => false,
    }
}

fn host_ip(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

const API_PORT: u16 = 6443;

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> EndpointSettings {
        EndpointSettings {
            vips: ["10.0.0.100".parse().unwrap(), "fd00::100".parse().unwrap()].into(),
            control_plane: true,
            ..EndpointSettings::default()
        }
    }

    fn dial(source: Source, server: &str, settings: &EndpointSettings) -> (String, Option<String>, Why) {
        let Endpoint { url, tls_server_name, why } =
            endpoint(&source, &server.parse().unwrap(), None, settings);
        (url, tls_server_name, why)
    }

    fn admin() -> Source {
        Source::Admin("/etc/kubernetes/admin.conf".into())
    }

    fn home() -> Source {
        Source::Home("/root/.kube/config".into())
    }

    fn named() -> Option<String> {
        Some("kubernetes".into())
    }

    #[test]
    fn kubeadms_files_on_a_control_plane_node_lead_to_the_local_server() {
        let local = ("https://127.0.0.1:6443".into(), named(), Why::ControlPlaneNode);
        assert_eq!(dial(admin(), "https://lb.example.org:6443", &settings()), local);
        let configured = Source::Configured("/etc/kubernetes/super-admin.conf".into());
        assert_eq!(dial(configured, "https://lb.example.org:6443", &settings()), local);
    }

    #[test]
    fn credentials_that_name_our_vip_lead_to_the_local_server_wherever_they_come_from() {
        let local = ("https://127.0.0.1:8443".into(), named(), Why::VipInCredentials);
        assert_eq!(dial(home(), "https://10.0.0.100:8443", &settings()), local);
        assert_eq!(dial(home(), "https://[fd00::100]:8443", &settings()), local);
    }

    #[test]
    fn the_configured_port_wins_over_the_one_in_the_credentials() {
        let settings = EndpointSettings { api_port: Some(6444), ..settings() };
        assert_eq!(dial(admin(), "https://10.0.0.100:443", &settings).0, "https://127.0.0.1:6444");
    }

    #[test]
    fn a_server_without_a_port_is_found_at_the_usual_one() {
        assert_eq!(dial(admin(), "https://10.0.0.100", &settings()).0, "https://127.0.0.1:6443");
    }

    #[test]
    fn plain_http_stays_plain_http() {
        let local = ("http://127.0.0.1:8080".into(), None, Why::VipInCredentials);
        assert_eq!(dial(home(), "http://10.0.0.100:8080", &settings()), local);
        let given = ("http://10.0.0.1:8080/".into(), None, Why::AsGiven);
        assert_eq!(dial(home(), "http://10.0.0.1:8080", &settings()), given);
    }

    #[test]
    fn beside_another_server_there_is_the_nodes_own_and_loopback_is_that_already() {
        let settings = EndpointSettings { api_port: Some(6444), ..settings() };
        let beside = |server: &str| local(&server.parse().unwrap(), &settings);
        let tls = Some(("https://127.0.0.1:6444".to_owned(), named()));
        assert_eq!(beside("https://10.96.0.1:443"), tls);
        assert_eq!(beside("https://lb.example.org"), tls);
        assert_eq!(beside("https://[fd00::1]:443"), tls);
        assert_eq!(beside("http://10.0.0.7:8080"), Some(("http://127.0.0.1:6444".to_owned(), None)));
        for loopback in ["https://127.0.0.1:6443", "https://[::1]:6443", "https://localhost:6443"] {
            assert_eq!(beside(loopback), None);
        }
    }

    #[test]
    fn an_administrators_file_on_a_control_plane_node_is_good_for_the_other_nodes_servers_too() {
        let many = |source: Source, server: &str, settings: &EndpointSettings| {
            let dialled = endpoint(&source, &server.parse().unwrap(), None, settings);
            is_one_of_many(&source, &dialled, settings)
        };
        let (settings, worker) = (settings(), EndpointSettings { control_plane: false, ..settings() });
        let k3s = || Source::K3s("/etc/rancher/k3s/k3s.yaml".into());
        let own = || Source::Configured("/etc/vipcast/kubeconfig".into());
        assert!(many(admin(), "https://10.0.0.100:6443", &settings));
        assert!(many(k3s(), "https://127.0.0.1:6443", &settings));
        assert!(many(own(), "https://10.0.0.100:6443", &settings));
        assert!(!many(own(), "https://127.0.0.1:6443", &settings));
        assert!(!many(home(), "https://10.0.0.100:6443", &settings));
        assert!(!many(admin(), "https://10.0.0.7:6443", &worker));
    }

    #[test]
    fn a_service_account_is_good_for_every_server_if_it_can_find_them_and_nobody_has_named_one() {
        let many = |account_finds_servers, kubernetes_addr: Option<&str>| {
            let kubernetes_addr = kubernetes_addr.map(str::to_owned);
            let settings = EndpointSettings { account_finds_servers, kubernetes_addr, ..settings() };
            let source = Source::InCluster("/var/run/secrets/kubernetes.io/serviceaccount/token".into());
            let dialled = endpoint(&source, &"https://10.96.0.1:443".parse().unwrap(), None, &settings);
            is_one_of_many(&source, &dialled, &settings)
        };
        assert!(many(true, None));
        assert!(!many(false, None));
        assert!(!many(true, Some("10.0.0.7")));
    }

    #[test]
    fn a_worker_dials_what_kubeadms_file_says() {
        let worker = EndpointSettings { control_plane: false, ..settings() };
        let given = ("https://10.0.0.1:6443/".into(), None, Why::AsGiven);
        assert_eq!(dial(admin(), "https://10.0.0.1:6443", &worker), given);
    }

    #[test]
    fn kubernetes_addr_wins_in_every_form() {
        let cases = [
            ("10.0.0.7", "https://10.0.0.7:6443", None),
            ("fd00::7", "https://[fd00::7]:6443", None),
            ("api.example.org:8443", "https://api.example.org:8443", None),
            ("api.example.org", "https://api.example.org:6443", None),
            ("127.0.0.1", "https://127.0.0.1:6443", named()),
            ("https://127.0.0.1:7443", "https://127.0.0.1:7443", named()),
            ("http://10.0.0.7:8080", "http://10.0.0.7:8080", None),
        ];
        for (addr, url, name) in cases {
            let settings = EndpointSettings { kubernetes_addr: Some(addr.into()), ..settings() };
            let expected = (url.to_owned(), name, Why::Configured);
            assert_eq!(dial(admin(), "https://10.0.0.100:6443", &settings), expected);
        }
    }
}

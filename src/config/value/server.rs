//! Where to connect to and where to listen.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use hyper::Uri;

use super::Wrong;
use crate::admin::DEFAULT_SOCKET;
use crate::config::setting::Spec;
use crate::config::types::Listen;

pub(in crate::config) fn url(_: &Spec, text: &str) -> Result<Uri, Wrong> {
    let example = "write for example https://127.0.0.1:6443/readyz";
    let uri: Uri = text.parse().map_err(|_| Wrong::new("not a URL", example))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(Wrong::new("neither http nor https", example));
    }
    check_authority(&uri).map_err(|reason| Wrong::new(reason, example))?;
    Ok(uri)
}

/// A host, `host:port` or URL without a path; https where no scheme is given.
pub(in crate::config) fn server(_: &Spec, text: &str) -> Result<Uri, Wrong> {
    let example = "write for example 192.0.2.1, 192.0.2.1:6443 or https://api.example.org:6443";
    let text = match text.parse::<Ipv6Addr>() {
        Ok(address) => format!("https://[{address}]"),
        Err(_) if text.contains("://") => text.to_owned(),
        Err(_) => format!("https://{text}"),
    };
    let uri: Uri = text.parse().map_err(|_| Wrong::new("not a server", example))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(Wrong::new("neither http nor https", example));
    }
    if uri.path_and_query().is_some_and(|path| path.as_str() != "/") {
        return Err(Wrong::new("a server has no path", example));
    }
    check_authority(&uri).map_err(|reason| Wrong::new(reason, example))?;
    Ok(uri)
}

pub(in crate::config) fn show_uri(uri: &Uri) -> String {
    uri.to_string()
}

pub(in crate::config) fn url_path(_: &Spec, text: &str) -> Result<String, Wrong> {
    let valid = text.starts_with('/') && text.parse::<Uri>().is_ok_and(|uri| uri.authority().is_none());
    if valid {
        Ok(text.to_owned())
    } else {
        Err(Wrong::new("not a path of a URL", "write /readyz or /livez"))
    }
}

pub(in crate::config) fn listen(_: &Spec, text: &str) -> Result<Option<Listen>, Wrong> {
    let wrong = || Wrong::new("not an address to listen on", "write :2112, 127.0.0.1:2112, or off");
    if matches!(text, "off" | "false" | "False" | "FALSE") {
        return Ok(None);
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    let host = match host {
        "" => None,
        "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        _ => Some(text.parse::<SocketAddr>().map_err(|_| wrong())?.ip()),
    };
    Ok(Some(Listen { host, port }))
}

pub(in crate::config) fn show_listen(listen: &Option<Listen>) -> String {
    listen.map_or_else(|| "off".to_owned(), |listen| listen.to_string())
}

pub(in crate::config) fn socket(_: &Spec, text: &str) -> Result<PathBuf, Wrong> {
    let fix = || format!("write an absolute path such as {DEFAULT_SOCKET}");
    if !text.starts_with('/') || text.ends_with('/') || text.contains('\0') {
        return Err(Wrong::new("not an absolute path of a socket", fix()));
    }
    if text.len() > SUN_PATH_MAX {
        return Err(Wrong::new(format!("longer than the {SUN_PATH_MAX} bytes of a socket's path"), fix()));
    }
    Ok(PathBuf::from(text))
}

fn check_authority(uri: &Uri) -> Result<(), &'static str> {
    let Some(authority) = uri.authority() else {
        return Err("has no host");
    };
    match authority {
        _ if authority.as_str().contains('@') => Err("carries credentials, which belong in the kubeconfig"),
        _ if authority.host().is_empty() => Err("has no host"),
        // Uri permits "host:" and ports beyond 65535, which then fail at the first connection.
        _ if authority.as_str() != authority.host() && matches!(authority.port_u16(), None | Some(0)) => {
            Err("has a wrong port")
        }
        _ => Ok(()),
    }
}

/// `sizeof(sun_path)` without the terminating NUL.
const SUN_PATH_MAX: usize = 107;

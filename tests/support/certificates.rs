//! A certificate authority for one test.

use std::fs;
use std::io;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// Writes `ca.crt`, `apiserver.crt` and `apiserver.key` for the given names, and `sa.key` and `sa.pub` for service accounts.
pub fn write(folder: &Path, names: Vec<String>) -> io::Result<()> {
    let issued = issue(names).map_err(io::Error::other)?;
    for (name, content) in issued {
        fs::write(folder.join(name), content)?;
    }
    Ok(())
}

fn issue(names: Vec<String>) -> Result<[(&'static str, String); 5], rcgen::Error> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    ca.distinguished_name.push(DnType::CommonName, "kubernetes");
    let ca_certificate = ca.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca, &ca_key);
    let key = KeyPair::generate()?;
    let mut server = CertificateParams::new(names)?;
    server
        .distinguished_name
        .push(DnType::CommonName, "kube-apiserver");
    let server_certificate = server.signed_by(&key, &issuer)?;
    let service_accounts = KeyPair::generate()?;
    Ok([
        ("ca.crt", ca_certificate.pem()),
        ("apiserver.crt", server_certificate.pem()),
        ("apiserver.key", key.serialize_pem()),
        ("sa.key", service_accounts.serialize_pem()),
        ("sa.pub", service_accounts.public_key_pem()),
    ])
}

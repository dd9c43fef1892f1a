//! Passwords in Kubernetes Secrets, followed while they change. They are shown nowhere.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use tokio::sync::watch;

use super::access::Connection;
use super::follow::{Objects, Step, follow};

/// Namespace, name and key.
pub type Place = (String, String, String);

/// Publishes what stands at `places`. What was known last stays while nobody can be asked. Returns only when nobody
/// publishes connections any more.
pub async fn watch_secrets(
    places: BTreeSet<Place>,
    connections: watch::Receiver<Option<Connection>>,
    out: watch::Sender<BTreeMap<Place, String>>,
) {
    let objects: BTreeSet<_> = places.iter().map(|(namespace, name, _)| (namespace, name)).collect();
    let each = objects.into_iter().map(|(namespace, name)| {
        let source = move |connection: &Connection| Objects::<Secret> {
            api: Api::namespaced(connection.watch.clone(), namespace),
            fields: format!("metadata.name={name}"),
        };
        let keys = places.iter().filter(move |place| (&place.0, &place.1) == (namespace, name));
        let keys: Vec<&Place> = keys.collect();
        let out = &out;
        let sink = move |step| learn(step, name, &keys, out);
        follow("secret with a password", connections.clone(), source, sink)
    });
    let mut all: FuturesUnordered<_> = each.collect();
    while all.next().await.is_some() {}
}

fn learn(step: Step<Secret>, name: &str, places: &[&Place], out: &watch::Sender<BTreeMap<Place, String>>) {
    let secret = match step {
        Step::Listed(secrets) => {
            secrets.into_iter().find(|secret| secret.metadata.name.as_deref() == Some(name))
        }
        Step::Applied(secret) => Some(secret),
        Step::Deleted(_) => None,
    };
    let data = secret.and_then(|secret| secret.data).unwrap_or_default();
    out.send_modify(|known| {
        for &place in places {
            let text = data.get(&place.2).and_then(|octets| String::from_utf8(octets.0.clone()).ok());
            match text {
                Some(text) => known.insert(place.clone(), first_line(&text)),
                None => known.remove(place),
            };
        }
    });
}

/// Editors end the line.
fn first_line(text: &str) -> String {
    let line = text.strip_suffix('\n').unwrap_or(text);
    line.strip_suffix('\r').unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    #[test]
    fn passwords_are_learned_and_forgotten_with_their_secret() {
        let place = |key: &str| ("kube-system".to_owned(), "bgp".to_owned(), key.to_owned());
        let (tor, spine) = (place("tor"), place("spine"));
        let (out, known) = watch::channel(BTreeMap::new());
        let mut secret = Secret::default();
        secret.metadata.name = Some("bgp".into());
        secret.data = Some([("tor".to_owned(), ByteString(b"hunter2\n".to_vec()))].into());
        learn(Step::Listed(vec![Secret::default(), secret.clone()]), "bgp", &[&tor, &spine], &out);
        assert_eq!(*known.borrow(), [(tor.clone(), "hunter2".to_owned())].into());
        learn(Step::Deleted(secret), "bgp", &[&tor, &spine], &out);
        assert_eq!(*known.borrow(), BTreeMap::new());
    }
}

//! What the API server tells somebody who watches Services.

use std::net::IpAddr;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use axum::http::Request;
use futures::{AsyncBufReadExt, TryStreamExt};
use serde_json::Value;
use vipcast::clock;

use crate::bed::Bed;
use crate::kubernetes::{block_on, client};
use crate::objects::ingress;

/// A Service as it was seen.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) name: String,
    /// `None`: it is gone.
    pub(crate) now: Option<Option<IpAddr>>,
}

/// A watch that was open before this returned; it ends with the API server.
pub(crate) struct Stream(Receiver<Option<Seen>>);

impl Stream {
    pub(crate) fn open(bed: &Bed) -> Self {
        let (report, seen) = channel();
        let kubeconfig = bed.kubeconfig();
        let watch = async move {
            let client = client(&kubeconfig).await;
            let request = |path: String| Request::get(path).body(Vec::new()).unwrap();
            let list: Value = client.request(request(SERVICES.to_owned())).await.unwrap();
            let version = list["metadata"]["resourceVersion"].as_str().unwrap();
            let path = format!("{SERVICES}?watch=1&resourceVersion={version}");
            let mut lines = client.request_stream(request(path)).await.unwrap().lines();
            report.send(None).unwrap();
            while let Ok(Some(line)) = lines.try_next().await {
                let event: Value = serde_json::from_str(&line).unwrap();
                let service = &event["object"];
                let name = service["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                let now = (event["type"] != "DELETED").then(|| ingress(service));
                // Nobody listens any more.
                if report.send(Some(Seen { at: clock::now(), name, now })).is_err() {
                    return;
                }
            }
        };
        let work = move |()| block_on(watch);
        drop(bed.lan.api.namespace.spawn("services-watch", || Ok(()), work).unwrap());
        assert!(seen.recv_timeout(PATIENCE).unwrap().is_none());
        Self(seen)
    }

    /// The next change; nothing for `patience`.
    pub(crate) fn next(&self, patience: Duration) -> Option<Seen> {
        self.0.recv_timeout(patience).ok().flatten()
    }

    /// Everything that has come.
    pub(crate) fn all(&self) -> impl Iterator<Item = Seen> + '_ {
        self.0.try_iter().flatten()
    }
}

const SERVICES: &str = "/api/v1/namespaces/default/services";
const PATIENCE: Duration = Duration::from_secs(20);

//! Lists in pages and watches, decoded into what is needed of each object and nothing else.

use std::fmt::Debug;
use std::marker::PhantomData;

use futures::StreamExt as _;
use kube::Client;
use kube::api::{ListParams, WatchParams};
use kube::core::Request;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::super::follow::{Changes, Page, Source, Versioned, WATCH_SECONDS};
use super::object::Metadata;

/// Where objects of a kind are.
#[derive(Clone, Debug)]
pub(super) struct Path {
    /// `/api/v1`, or `/apis/` with group and version.
    pub(super) base: &'static str,
    /// One namespace or all.
    pub(super) namespace: Option<String>,
    pub(super) plural: &'static str,
    /// A label selector; empty: all.
    pub(super) labels: &'static str,
}

/// Objects of a kind, as `T` has them.
pub(super) struct Pruned<T> {
    client: Client,
    request: Request,
    labels: &'static str,
    kind: PhantomData<fn() -> T>,
}

/// An object as it was seen.
#[derive(Clone, Debug)]
pub(super) enum Seen<T> {
    /// All that is needed of it.
    Whole(T),
    /// It is not of its kind's form.
    Broken { metadata: Box<Metadata>, error: String },
}

#[derive(Deserialize)]
struct List<T> {
    metadata: ListMetadata,
    #[serde(default = "Vec::new")]
    items: Vec<T>,
}

#[derive(Deserialize)]
struct ListMetadata {
    #[serde(rename = "resourceVersion")]
    version: Option<String>,
    #[serde(rename = "continue")]
    next: Option<String>,
}

impl<T> Pruned<T> {
    pub(super) fn new(client: Client, path: &Path) -> Self {
        let url = match &path.namespace {
            Some(namespace) => format!("{}/namespaces/{namespace}/{}", path.base, path.plural),
            None => format!("{}/{}", path.base, path.plural),
        };
        Self { client, request: Request::new(url), labels: path.labels, kind: PhantomData }
    }
}

impl<T> Source for Pruned<T>
where
    T: DeserializeOwned + AsRef<Metadata> + Clone + Debug + Send + 'static,
{
    type Item = Seen<T>;

    async fn list(&self, after: Option<&str>) -> kube::Result<Page<Seen<T>>> {
        let mut params = ListParams::default().limit(PAGE).labels(self.labels);
        params.continue_token = after.map(str::to_owned);
        let request = self.request.list(&params).map_err(kube::Error::BuildRequest)?;
        page(&self.client.request_text(request).await?).map_err(kube::Error::SerdeError)
    }

    async fn watch(&self, version: &str) -> kube::Result<Changes<Seen<T>>> {
        let params = WatchParams::default().labels(self.labels).timeout(WATCH_SECONDS);
        let request = self.request.watch(&params, version).map_err(kube::Error::BuildRequest)?;
        Ok(self.client.request_events(request).await?.boxed())
    }
}

impl<T: AsRef<Metadata>> Versioned for Seen<T> {
    fn version(&self) -> Option<String> {
        match self {
            Self::Whole(whole) => whole.as_ref().version.clone(),
            Self::Broken { metadata, .. } => metadata.version.clone(),
        }
    }
}

/// By way of a [`Value`], so that an object of another form is no error of what it stands in.
impl<'de, T: DeserializeOwned> Deserialize<'de> for Seen<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(T::deserialize(&value).map_or_else(
            |error| Self::Broken { metadata: Box::new(Metadata::salvage(&value)), error: error.to_string() },
            Self::Whole,
        ))
    }
}

/// Without the detour, unless an object cannot be read.
fn page<T: DeserializeOwned>(text: &str) -> serde_json::Result<Page<Seen<T>>> {
    if let Ok(list) = serde_json::from_str::<List<T>>(text) {
        let items = list.items.into_iter().map(Seen::Whole).collect();
        return Ok(Page { items, version: list.metadata.version, next: list.metadata.next });
    }
    let list: List<Seen<T>> = serde_json::from_str(text)?;
    Ok(Page { items: list.items, version: list.metadata.version, next: list.metadata.next })
}

/// A few hundred kilobytes at a time.
const PAGE: u32 = 500;

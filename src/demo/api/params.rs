//! The query of a list or a watch.

use axum::extract::Query;
use axum::http::Uri;
use serde::Deserialize;

use super::failure::Failure;
use super::resources::Target;
use super::selector::Selector;
use super::store::Key;
use super::watch::{Filter, Start};

/// What was asked for; what is not known is ignored, as a real server does.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Params {
    pub(super) watch: String,
    pub(super) resource_version: String,
    pub(super) resource_version_match: String,
    pub(super) label_selector: String,
    pub(super) field_selector: String,
    pub(super) limit: Option<usize>,
    #[serde(rename = "continue")]
    pub(super) token: String,
    pub(super) timeout_seconds: Option<u64>,
    pub(super) allow_watch_bookmarks: String,
    pub(super) send_initial_events: String,
}

impl Params {
    pub(super) fn read(uri: &Uri) -> Result<Self, Failure> {
        let query = Query::try_from_uri(uri);
        query
            .map(|Query(params)| params)
            .map_err(|e| Failure::bad_request(e.body_text()))
    }

    pub(super) fn watch(&self) -> bool {
        matches!(self.watch.as_str(), "true" | "1")
    }

    pub(super) fn version(&self) -> Result<Option<u64>, Failure> {
        if self.resource_version.is_empty() {
            return Ok(None);
        }
        let why = || format!("Invalid value: \"{}\": invalid", self.resource_version);
        self.resource_version
            .parse()
            .map(Some)
            .map_err(|_| Failure::bad_request(why()))
    }

    pub(super) fn start(&self, target: &Target) -> Result<Start, Failure> {
        let streaming = !self.send_initial_events.is_empty();
        if streaming && self.resource_version_match != "NotOlderThan" {
            let message = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            let field = "resourceVersionMatch";
            return Err(Failure::invalid(target.resource, "", field, message));
        }
        Ok(match (self.send_initial_events.as_str(), self.version()?) {
            ("true" | "1", _) => Start::StateAndBookmark,
            (_, None) if streaming => Start::Now,
            (_, None | Some(0)) => Start::State,
            (_, Some(version)) => Start::After(version),
        })
    }

    pub(super) fn filter(&self, target: Target) -> Result<Filter, Failure> {
        let mut fields = self.field_selector.clone();
        if let Some(name) = &target.name {
            fields = format!("{fields},metadata.name={name}");
        }
        let selector = Selector::parse(target.resource, &self.label_selector, &fields);
        Ok(Filter {
            resource: target.resource,
            namespace: target.namespace,
            selector: selector.map_err(Failure::bad_request)?,
        })
    }

    /// Where the next page starts: the version of the first one, and the last key read.
    pub(super) fn continued(&self, filter: &Filter) -> Result<Option<(u64, Key)>, Failure> {
        if self.token.is_empty() {
            return Ok(None);
        }
        let mut parts = self.token.splitn(3, '/');
        let version = parts.next().and_then(|version| version.parse().ok());
        match (version, parts.next(), parts.next()) {
            (Some(version), Some(namespace), Some(name)) => {
                Ok(Some((version, Key::new(filter.resource, namespace, name))))
            }
            _ => Err(Failure::bad_request("continue key is not valid".to_owned())),
        }
    }
}

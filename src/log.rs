//! What goes to standard error, and how it looks.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing::{Subscriber, info, subscriber, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;

use crate::config::{Notice, Severity};

/// How a line looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// `time LEVEL message field=value`, in colour on a terminal.
    Text,
    /// One object per line.
    Json,
}

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level means nothing.
    #[error(
        "log level {level:?} is neither error, warn, info, debug, trace, off nor a list such as info,vipcast::kube=debug"
    )]
    Level {
        /// What was given.
        level: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Somebody else has begun to log.
    #[error("logging has been started already")]
    Started(#[from] subscriber::SetGlobalDefaultError),
}

/// Logs to standard error from now on. `level` is a level, a list of `target=level`, or both.
///
/// # Errors
/// The level cannot be understood, or logging was started before.
pub fn init(level: &str, format: Format) -> Result<(), LogError> {
    let filter = filter(level)?;
    let colour = std::io::stderr().is_terminal();
    Ok(subscriber::set_global_default(subscriber(filter, format, colour, std::io::stderr))?)
}

/// What there is to know of a configuration that is not wrong.
pub fn notice(notice: &Notice) {
    match notice.severity {
        Severity::Warning => warn!(setting = notice.setting, text = notice.text, "configuration"),
        Severity::Info => info!(setting = notice.setting, text = notice.text, "configuration"),
    }
}

/// A bare level is about vipcast. Libraries speak up at `warn`, unless they are named.
fn filter(level: &str) -> Result<Targets, LogError> {
    let wrong = |source| LogError::Level { level: level.to_owned(), source };
    let asked: Targets = level.trim().to_lowercase().parse().map_err(wrong)?;
    let ours = asked.default_level().unwrap_or(LevelFilter::INFO);
    let default = Targets::new()
        .with_target("vipcast", ours)
        // It warns of each watch that ends; what that means is told once, by those who watch.
        .with_target("kube_client", ours.min(LevelFilter::ERROR))
        .with_default(ours.min(LevelFilter::WARN));
    Ok(default.with_targets(asked.iter()))
}

fn subscriber<W>(filter: Targets, format: Format, colour: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer).with_target(false).with_ansi(colour);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Text => lines.boxed(),
        Format::Json => lines.json().flatten_event(true).with_span_list(false).with_target(true).boxed(),
    };
    Registry::default().with(lines.with_filter(filter))
}

/// What is logged meanwhile on this thread at `info` and above, without the time.
#[cfg(test)]
pub(crate) fn recorded(log: impl FnOnce()) -> String {
    let lines = tests::logged("info", Format::Text, log);
    let bare = lines.lines().filter_map(|line| line.split_once("Z "));
    bare.map(|(_, line)| format!("{}\n", line.trim())).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing::debug;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(line)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    pub(super) fn logged(level: &str, format: Format, log: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = subscriber(filter(level).unwrap(), format, false, move || writer.clone());
        subscriber::with_default(subscriber, log);
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_text_line_is_time_level_message_and_fields() {
        let line = logged("info", Format::Text, || info!(vip = "10.0.0.1", "address held"));
        let (time, rest) = line.split_once(' ').unwrap();
        assert_eq!(rest.trim_start(), "INFO address held vip=\"10.0.0.1\"\n");
        assert_eq!((time.len(), time.chars().last()), ("2026-11-21T01:49:43.123456Z".len(), Some('Z')));
    }

    #[test]
    fn a_json_line_has_the_fields_at_the_top() {
        let line = logged("info", Format::Json, || info!(vip = "10.0.0.1", "address held"));
        let mut line: serde_json::Value = serde_json::from_str(&line).unwrap();
        line.as_object_mut().unwrap().remove("timestamp").unwrap();
        let expected = serde_json::json!({
            "level": "INFO", "message": "address held", "vip": "10.0.0.1", "target": module_path!()
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn a_bare_level_is_about_vipcast_and_not_its_libraries() {
        let log = || {
            debug!("ours");
            debug!(target: "hyper", "theirs");
            warn!(target: "kube_client", "what the watches say themselves");
            warn!(target: "rustls", "their warning");
        };
        let messages = |level| {
            let lines = logged(level, Format::Text, log);
            lines.lines().map(|line| line.split_once("Z ").unwrap().1.trim().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(messages("debug"), ["DEBUG ours", "WARN their warning"]);
        assert_eq!(messages("DEBUG,hyper=debug"), ["DEBUG ours", "DEBUG theirs", "WARN their warning"]);
        assert_eq!(messages("error"), [""; 0]);
    }

    #[test]
    fn a_level_that_means_nothing_is_refused_by_name() {
        let error = filter("vipcast=loud").unwrap_err().to_string();
        assert!(error.starts_with("log level \"vipcast=loud\" is neither error, warn, info"), "{error}");
    }
}

//! The two text formats of metrics: OpenMetrics, and the older one that a plain `curl` gets.

/// A way to write metrics down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exposition {
    /// What Prometheus asks for.
    OpenMetrics,
    /// Prometheus text format 0.0.4.
    Text,
}

impl Exposition {
    /// The format that an `Accept` header asks for.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }

    /// `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// OpenMetrics text in this format.
    #[must_use]
    pub fn render(self, open_metrics: String) -> String {
        match self {
            Self::OpenMetrics => open_metrics,
            Self::Text => text(&open_metrics),
        }
    }
}

/// A counter's family is named without `_total` in OpenMetrics and with it in the older format.
fn text(open_metrics: &str) -> String {
    let mut out = String::with_capacity(open_metrics.len());
    let mut lines = open_metrics.lines().peekable();
    while let Some(line) = lines.next() {
        let described = lines.peek().copied().unwrap_or_default();
        let counter = is_counter(line) || (line.starts_with("# HELP ") && is_counter(described));
        match line.splitn(4, ' ').collect::<Vec<_>>().as_slice() {
            ["#", "EOF"] | ["#", "UNIT", ..] => continue,
            ["#", what, name, rest] if counter => out.push_str(&format!("# {what} {name}_total {rest}")),
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

fn is_counter(line: &str) -> bool {
    line.starts_with("# TYPE ") && line.ends_with(" counter")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_names_counters_with_their_suffix_and_has_no_end_mark() {
        let open =
            "# HELP a Things.\n# TYPE a counter\na_total 1\n# HELP b Level.\n# TYPE b gauge\nb 2\n# EOF\n";
        let text = "# HELP a_total Things.\n# TYPE a_total counter\na_total 1\n# HELP b Level.\n# TYPE b gauge\nb 2\n";
        assert_eq!(Exposition::Text.render(open.to_owned()), text);
    }

    #[test]
    fn prometheus_gets_open_metrics_and_curl_gets_text() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2";
        assert_eq!(Exposition::accepted(prometheus), Exposition::OpenMetrics);
        assert_eq!(Exposition::accepted("*/*"), Exposition::Text);
    }
}

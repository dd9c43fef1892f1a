//! Variables to settings, by the rules of Kubespray's template.

use std::collections::BTreeMap;

use super::scope::{Found, Scope};
use super::table::{self, Becomes, Emit, Form, Row};
use super::value::Value;
use super::{Reading, Setting};
use crate::config::{Notice, Problem, Source, is_unset};

/// The variables, read one by one, and what was wrong with them.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) scope: &'a Scope,
    pub(super) problems: Vec<Problem>,
    pub(super) notices: Vec<Notice>,
    settings: Vec<Setting>,
    /// By the switch that is off: what a file sets for nothing.
    idle: BTreeMap<&'static str, Vec<&'static str>>,
}

/// A variable that has a value.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    pub(super) text: String,
    pub(super) source: Source,
    pub(super) explicit: bool,
}

impl<'a> Facts<'a> {
    pub(super) fn new(scope: &'a Scope, problems: Vec<Problem>) -> Self {
        Self { scope, problems, notices: Vec::new(), settings: Vec::new(), idle: BTreeMap::new() }
    }

    /// Goes through the table.
    pub(super) fn render(&mut self) {
        for row in table::ALL {
            match row.becomes {
                Becomes::Env(env, emit) => self.variable(row, env, emit),
                Becomes::EnvUnder(env, emit, gate) if self.switch(gate) => self.variable(row, env, emit),
                Becomes::EnvUnder(_, _, gate) => self.note_idle(row, gate),
                Becomes::Nothing if self.scope.written(row.name).is_some() => {
                    self.notices.push(Notice::info(row.name, "no effect here: about kube-vip's own pod"));
                }
                Becomes::Together(_) | Becomes::Checked | Becomes::Nothing | Becomes::Kubespray => {}
            }
        }
        self.namespace();
        self.node_name();
        self.load_balancer_port();
        self.metrics();
    }

    /// Everything that was found.
    pub(super) fn reading(mut self) -> Reading {
        for (gate, names) in &self.idle {
            let text = format!("without use while {gate} is false, as in Kubespray");
            self.notices.push(Notice::info(names.join(", "), text));
        }
        Reading { settings: self.settings, problems: self.problems, notices: self.notices }
    }

    /// A variable of the table; `None` where it is not set, or wrong, which is then noted.
    pub(super) fn fact(&mut self, name: &str) -> Option<Fact> {
        let row = table::row(name)?;
        let found = self.found(row)?;
        match plain(row.form, &found.value) {
            Ok(text) if is_unset(&text) => None,
            Ok(text) => Some(Fact { text, source: found.source, explicit: found.explicit }),
            // A default follows from a variable that is blamed itself.
            Err(_) if !found.explicit => None,
            Err((reason, fix)) => {
                let value = found.value.text().filter(|_| !is_secret(row));
                self.note(Problem { value, ..Problem::of(found.source, name, reason, fix) });
                None
            }
        }
    }

    /// Whether a switch is on.
    pub(super) fn switch(&mut self, name: &str) -> bool {
        self.fact(name).is_some_and(|fact| fact.text == "true")
    }

    /// The value of a variable of the table, of whatever kind.
    pub(super) fn found(&mut self, row: &'static Row) -> Option<Found> {
        match self.scope.find(row) {
            Ok(found) => Some(found),
            // What is only compared with the others is not needed.
            Err(problem) if matches!(row.becomes, Becomes::Checked) && row.name != "kube_vip_enabled" => {
                let notice = Notice::warning(row.name, format!("not checked: {}", problem.reason));
                if !self.notices.contains(&notice) {
                    self.notices.push(notice);
                }
                None
            }
            Err(problem) => {
                self.note(*problem);
                None
            }
        }
    }

    /// A variable that several ask for is wrong once.
    fn note(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn variable(&mut self, row: &'static Row, env: &'static str, emit: Emit) {
        let Some(fact) = self.fact(row.name) else { return };
        if emit != Emit::IfTrue || fact.text == "true" {
            self.settings.push(Setting { env, text: fact.text, source: fact.source });
        }
    }

    fn note_idle(&mut self, row: &'static Row, gate: &'static str) {
        if self.fact(row.name).is_some_and(|fact| fact.explicit && fact.text != "false") {
            self.idle.entry(gate).or_default().push(row.name);
        }
    }

    /// Outside of a cluster kube-vip has no other way to know it. A Lease's name may carry another, which counts.
    fn namespace(&mut self) {
        let named = self.setting("vip_leasename").is_some_and(|lease| lease.text.contains('/'));
        if let Some(fact) =
            self.fact("kube_vip_controlplane_enabled").filter(|fact| fact.text == "true" && !named)
        {
            let text = "kube-system".to_owned();
            self.settings.push(Setting { env: "cp_namespace", text, source: fact.source });
        }
    }

    /// `{{ inventory_hostname }}`, Kubespray's default, is the host's name; only Ansible knows which.
    fn node_name(&mut self) {
        let squeezed = |text: &&str| text.replace(' ', "") == "{{inventory_hostname}}";
        let written = self.scope.written("kube_override_hostname");
        if written.is_some_and(|written| written.value.texts().iter().any(squeezed)) {
            return;
        }
        if let Some(Fact { text, source, .. }) = self.fact("kube_override_hostname") {
            self.settings.push(Setting { env: "vip_nodename", text, source });
        }
    }

    /// Kubespray never sets it, and kube-vip's 6443 is wrong where the API server has another port.
    fn load_balancer_port(&mut self) {
        if !self.switch("kube_vip_lb_enable") {
            return;
        }
        let balancer =
            self.load_balancer().and_then(|(value, source)| Some((value.entry("port")?.text()?, source)));
        let own = |fact: Fact| (fact.text, fact.source);
        if let Some((text, source)) = balancer.or_else(|| self.fact("kube_apiserver_port").map(own)) {
            self.settings.push(Setting { env: "lb_port", text, source });
        }
    }

    /// Where metrics are not enabled Kubespray says nothing, and kube-vip's default holds: now it is said.
    fn metrics(&mut self) {
        let Some(enabled) = self.fact("kube_vip_metrics_enabled") else { return };
        let port = self.fact("kube_vip_metrics_port");
        let (text, source) = match port {
            Some(port) if enabled.text == "true" => {
                (format!(":{}", port.text), if port.explicit { port.source } else { enabled.source })
            }
            port => {
                if enabled.explicit && enabled.text != "true" {
                    let text = "no effect, as in Kubespray: /metrics is served at :2112 all the same. \
                                --prometheusHTTPServer= switches it off, and the probes with it";
                    self.notices.push(Notice::info("kube_vip_metrics_enabled", text));
                }
                if port.is_some_and(|port| port.explicit) {
                    self.idle.entry("kube_vip_metrics_enabled").or_default().push("kube_vip_metrics_port");
                }
                (":2112".to_owned(), enabled.source)
            }
        };
        self.settings.push(Setting { env: "prometheus_server", text, source });
    }

    /// `loadbalancer_apiserver`, where a file has it.
    pub(super) fn load_balancer(&mut self) -> Option<(Value, Source)> {
        let row = table::row("loadbalancer_apiserver")?;
        self.found(row).filter(|found| found.explicit).map(|found| (found.value, found.source))
    }

    /// What a variable of the environment has come to.
    pub(super) fn setting(&self, env: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.env == env)
    }
}

/// A value as one text, or why it is not one, and what to write.
fn plain(form: Form, value: &Value) -> Result<String, (String, String)> {
    let wrong = |reason: String, fix: &str| Err((reason, fix.to_owned()));
    match form {
        Form::Switch => match value.switch() {
            Some(switch) => Ok(switch.to_string()),
            None => wrong("neither true nor false".into(), "write true or false"),
        },
        Form::Texts => texts(value),
        Form::Any => Ok(String::new()),
        Form::Text | Form::Number(..) | Form::Choice(_) => {
            let Some(text) = value.text() else {
                return wrong(value.kind().to_owned(), "write a single value");
            };
            match form {
                Form::Number(min, max) if !is_unset(&text) && !in_range(&text, min, max) => {
                    wrong("not a whole number in range".into(), &format!("write {min} to {max}"))
                }
                Form::Choice(words) if !is_unset(&text) && !words.contains(&text.as_str()) => {
                    wrong("not one of the words it may be".into(), &format!("write {}", words.join(", ")))
                }
                Form::Switch | Form::Text | Form::Number(..) | Form::Choice(_) | Form::Texts | Form::Any => {
                    Ok(text)
                }
            }
        }
    }
}

/// Whether there may be a password in it.
fn is_secret(row: &Row) -> bool {
    matches!(row.becomes, Becomes::EnvUnder("bgp_peerpass" | "bgp_peers", ..))
}

fn in_range(text: &str, min: u32, max: u32) -> bool {
    text.parse::<u32>().is_ok_and(|number| (min..=max).contains(&number))
}

/// A list joined by commas. Kubespray joins a text as well, character by character.
fn texts(value: &Value) -> Result<String, (String, String)> {
    let wrong =
        |reason: &str| Err((reason.to_owned(), "write a list of address:AS:password:multihop".into()));
    let text = match value {
        Value::List(items) => {
            let items: Option<Vec<String>> =
                items.iter().map(Value::text).map(|text| text.filter(|text| !text.is_empty())).collect();
            match items {
                Some(items) => items.join(","),
                None => return wrong("an item that is no text"),
            }
        }
        Value::Map(_) => return wrong("a mapping"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => value.text().unwrap_or_default(),
    };
    if is_torn(&text) { wrong("taken apart into single characters") } else { Ok(text) }
}

/// Whether a list is what Kubespray's template makes of a text: its characters with commas between.
pub(crate) fn is_torn(list: &str) -> bool {
    list.split(',').nth(2).is_some() && list.split(',').all(|item| item.chars().count() <= 1)
}

//! The laboratory of the benchmark: nodes with real daemons that serve Services, and a real API server that writes down who asks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vipcast::clock;
use vipcast::demo::lab::lan::Mac;

use crate::Plan;
use crate::audit::{Audit, Requests};
use crate::bed::{Bed, ms, wait};
use crate::census;
use crate::objects::{objects, service_path, slice_path};
use crate::panel::Panel;
use crate::process::{self, Memory};

/// All of it. Daemons go before their API server.
pub(crate) struct Rig {
    pub(crate) bed: Bed,
    audit: Option<Audit>,
    environment: Vec<(&'static str, String)>,
    /// How many Services there are, numbered from 0.
    pub(crate) population: usize,
}

impl Rig {
    /// Nodes without daemons.
    fn build(plan: &Plan, nodes: usize, audit: Option<Audit>) -> Self {
        let mut bed = Bed::real_told(nodes, audit.as_ref().map(Audit::arguments).unwrap_or_default());
        bed.program.clone_from(&plan.daemon);
        let environment = vec![
            ("cp_enable", "false".to_owned()),
            ("address", String::new()),
            ("svc_enable", "true".to_owned()),
            ("vipcast_services_distribution", "spread".to_owned()),
            ("vip_servicesinterface", "eth0".to_owned()),
            (
                "vipcast_services_pools",
                json!([{ "name": "lan", "addresses": "10.78.0.1-10.78.127.250" }]).to_string(),
            ),
        ];
        Self { bed, audit, environment, population: 0 }
    }

    /// With a daemon on each node, and every daemon knows all others.
    pub(crate) fn start(plan: &Plan, nodes: usize) -> Self {
        Self::settled(Self::build(plan, nodes, None))
    }

    /// The same with more settings.
    pub(crate) fn start_told(plan: &Plan, nodes: usize, settings: &[(&'static str, &str)]) -> Self {
        let mut rig = Self::build(plan, nodes, None);
        settings.iter().for_each(|(name, value)| rig.set(name, value));
        rig.settled()
    }

    /// The same; who asks the API server for what is written down in `folder`.
    pub(crate) fn audited(plan: &Plan, nodes: usize, folder: &Path) -> Self {
        Self::settled(Self::build(plan, nodes, Some(Audit::prepare(folder).unwrap())))
    }

    fn settled(mut self) -> Self {
        self.start_daemons();
        wait("every node takes every node for a member", LONG, || self.knows_all().then_some(()));
        self
    }

    /// A setting of all daemons that are started from now on.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.environment.retain(|(known, _)| *known != name);
        self.environment.push((name, value.to_owned()));
    }

    pub(crate) fn nodes(&self) -> usize {
        self.bed.lan.nodes.len()
    }

    pub(crate) fn start_daemons(&mut self) {
        (0..self.nodes()).for_each(|node| self.start_daemon(node));
    }

    pub(crate) fn start_daemon(&mut self, node: usize) {
        let environment: Vec<_> =
            self.environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.bed.start(node, &environment);
    }

    /// All are told to stop, and do.
    pub(crate) fn stop_daemons(&mut self) {
        (0..self.nodes()).for_each(|node| self.bed.daemon(node).term().unwrap());
        for node in 0..self.nodes() {
            self.bed.daemon(node).wait(LONG).unwrap().expect("the daemon ends");
        }
    }

    fn knows_all(&self) -> bool {
        let takes = |node, member: usize| {
            let line =
                |line: &Value| line["member"] == self.bed.lan.nodes[member].name && line["weight"] == 1;
            self.bed.logged(node, "member seen").iter().any(line)
        };
        (0..self.nodes()).all(|node| (0..self.nodes()).all(|member| takes(node, member)))
    }

    /// What a command says on a node.
    pub(crate) fn told(&self, node: usize, words: &[&str]) -> Value {
        let mut command = std::process::Command::new(&self.bed.program);
        command
            .args(words)
            .args(["-o", "json", "--socket"])
            .arg(self.bed.socket(&self.bed.lan.nodes[node].name));
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap_or_default()
    }

    /// So many Services more, each with its endpoints; returns when the last was created.
    pub(crate) fn populate(&mut self, count: usize) -> Instant {
        let numbers = self.population..self.population + count;
        let (services, slices): (Vec<_>, Vec<_>) = numbers.map(|number| self.pair(number).into()).unzip();
        self.bed.kubernetes().create_all(&slices);
        self.bed.kubernetes().create_all(&services);
        self.population += count;
        clock::now()
    }

    /// The Service with this number, and its endpoints, each with where it is created.
    pub(crate) fn pair(&self, number: usize) -> [(String, Value); 2] {
        let nodes: Vec<_> = self.bed.lan.nodes.iter().map(|node| node.name.as_str()).collect();
        let labels = json!({
            "app.kubernetes.io/name": "web", "app.kubernetes.io/instance": name(number),
            "app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "web-1.2.3",
        });
        let selector = json!({ "app.kubernetes.io/name": "web", "app.kubernetes.io/instance": name(number) });
        let both = [nodes[number % nodes.len()], nodes[(number + 1) % nodes.len()]];
        let [mut service, mut slice] = objects(&name(number), &json!({ "selector": selector }), &both);
        service.1["metadata"]["labels"] = labels.clone();
        for (key, value) in labels.as_object().unwrap() {
            slice.1["metadata"]["labels"][key] = value.clone();
        }
        slice.1["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] =
            "endpointslice-controller.k8s.io".into();
        [service, slice]
    }

    /// Deletes the Services of these numbers, and their endpoints.
    pub(crate) fn remove(&self, numbers: impl IntoIterator<Item = usize>) {
        let (services, slices): (Vec<_>, Vec<_>) = numbers
            .into_iter()
            .map(|number| (service_path(&name(number)), slice_path(&name(number))))
            .unzip();
        self.bed.kubernetes().delete_all(&services);
        self.bed.kubernetes().delete_all(&slices);
    }

    /// Deletes the Services of these numbers and creates them again; their endpoints stay.
    pub(crate) fn replace(&self, numbers: std::ops::Range<usize>) {
        let paths: Vec<_> = numbers.clone().map(|number| service_path(&name(number))).collect();
        self.bed.kubernetes().delete_all(&paths);
        let services: Vec<_> = numbers.map(|number| self.pair(number)).map(|[service, _]| service).collect();
        self.bed.kubernetes().create_all(&services);
    }

    /// The addresses in the status of all Services.
    pub(crate) fn addresses(&self) -> BTreeMap<String, IpAddr> {
        let path = "/api/v1/namespaces/default/services?resourceVersion=0";
        let all = self.bed.kubernetes().get(path).unwrap_or_default();
        let named = |service: &Value| {
            Some((service["metadata"]["name"].as_str()?.to_owned(), crate::objects::ingress(service)?))
        };
        all["items"].as_array().into_iter().flatten().filter_map(named).collect()
    }

    /// Waits until each Service has its address, and returns these.
    pub(crate) fn assigned(&self) -> Vec<IpAddr> {
        wait("each Service has an address", LONG, || {
            let addresses = self.addresses();
            if addresses.len() != self.population {
                thread::sleep(ms(500));
            }
            (addresses.len() == self.population).then(|| addresses.into_values().collect())
        })
    }

    /// Waits until each address is answered for by the one node that did before.
    pub(crate) fn restored(&self, before: &BTreeMap<IpAddr, usize>) {
        let addresses: Vec<_> = before.keys().copied().collect();
        wait("everything is where it was", LONG, || (self.owners(&addresses) == *before).then_some(()));
    }

    /// Waits until each address is answered for by exactly one node; says who.
    pub(crate) fn answered(&self, addresses: &[IpAddr]) -> BTreeMap<IpAddr, usize> {
        wait("one node answers for each address", LONG, || {
            let owners = self.owners(addresses);
            (owners.len() == addresses.len()).then_some(owners)
        })
    }

    /// Who answers for each address, where exactly one does.
    pub(crate) fn owners(&self, addresses: &[IpAddr]) -> BTreeMap<IpAddr, usize> {
        let mut owners = BTreeMap::new();
        for some in addresses.chunks(CENSUS) {
            for (address, macs) in census::ask(&self.bed.lan.client, some, ms(300)) {
                let only = macs.first().filter(|_| macs.len() == 1);
                owners.extend(only.and_then(|mac| Some((address, self.bed.lan.node_by_mac(*mac)?))));
            }
        }
        owners
    }

    /// Waits until each of so many addresses was announced after `from`; returns when the last was, and when each.
    pub(crate) fn announced(
        &self,
        panel: &mut Panel,
        from: Instant,
        count: usize,
    ) -> (Instant, BTreeMap<IpAddr, Instant>) {
        let macs = self.macs();
        let first = wait("each address is announced", LONG, || {
            let first = panel.first(from, &macs);
            if first.len() < count {
                thread::sleep(ms(20));
            }
            (first.len() >= count).then_some(first)
        });
        (*first.values().max().unwrap(), first)
    }

    /// Waits until each of these was announced by another than `node` after `from`; says when.
    pub(crate) fn taken(
        &self,
        panel: &mut Panel,
        from: Instant,
        node: usize,
        its: &[IpAddr],
    ) -> BTreeMap<IpAddr, Instant> {
        let its: BTreeSet<_> = its.iter().collect();
        let mut others = self.macs();
        others.remove(node);
        wait("others announce what it had", LONG, || {
            thread::sleep(ms(5));
            let mut first = panel.first(from, &others);
            first.retain(|address, _| its.contains(address));
            (first.len() == its.len()).then_some(first)
        })
    }

    pub(crate) fn macs(&self) -> Vec<Mac> {
        self.bed.lan.nodes.iter().map(|node| node.mac).collect()
    }

    /// How often a daemon has logged a message.
    pub(crate) fn said(&self, node: usize, message: &str) -> usize {
        let name = format!("{}.log", self.bed.lan.nodes[node].name);
        let log = std::fs::read_to_string(self.bed.directory.file(&name)).unwrap_or_default();
        log.matches(message).count()
    }

    pub(crate) fn memory(&mut self, node: usize) -> Memory {
        process::memory(self.bed.daemon(node).pid()).unwrap()
    }

    pub(crate) fn processor_time(&mut self, node: usize) -> Duration {
        process::processor_time(self.bed.daemon(node).pid()).unwrap()
    }

    /// What each node asks of the API server in a span of time.
    pub(crate) fn requests(&self, span: Duration) -> Vec<Requests> {
        let audit = self.audit.as_ref().expect("somebody writes down who asks");
        let position = audit.position().unwrap();
        thread::sleep(span);
        self.bed.lan.nodes.iter().map(|node| audit.since(position, node.v4).unwrap()).collect()
    }

    /// The names of all Leases.
    pub(crate) fn leases(&self) -> Vec<String> {
        let all = self.bed.kubernetes().get("/apis/coordination.k8s.io/v1/leases").unwrap();
        let name = |lease: &Value| lease["metadata"]["name"].as_str().unwrap().to_owned();
        all["items"].as_array().unwrap().iter().map(name).collect()
    }
}

/// The Service with this number.
pub(crate) fn name(number: usize) -> String {
    format!("web-{number}")
}

/// The address that the Service with this number gets where all before it have one, and none has gone.
pub(crate) fn address(number: usize) -> IpAddr {
    let first = u32::from_be_bytes([10, 78, 0, 1]);
    Ipv4Addr::from(first + u32::try_from(number).unwrap()).into()
}

pub(crate) const NODES: usize = 3;
/// For what takes long with thousands.
const LONG: Duration = Duration::from_secs(300);
/// So many questions at once that nobody loses any.
const CENSUS: usize = 100;

//! The real daemon as the generated ServiceAccount, and what it asked for by the API server's own audit log.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use vipcast::clock;
use vipcast::demo::lab::namespace::Namespace;

use super::bed::{Bed, SOON, VIP, wait};
use super::kubernetes::Kubernetes;
use super::support::in_path;
use super::support::real_api::{Launch, RealApi};
use super::{JSON, collection, create, documents};

/// A resource or path, and a verb.
type Permission = (String, String);

/// Through take-over, loss, hand-over and Events nothing is refused, and nothing is permitted that is never used.
pub(crate) fn exact() {
    let mut cluster = Cluster::start();
    let objects = objects("rbac");
    cluster.permit(&objects);
    cluster.bed.start(0, &[("k8s_config_file", &cluster.credentials(0)), ("vipcast_health_enabled", "true")]);
    cluster.bed.wait_held(0);
    cluster.bed.start(1, &[("k8s_config_file", &cluster.credentials(1))]);
    cluster.bed.wait_standby(1);
    cluster.bed.terminate(0);
    cluster.bed.wait_held(1);
    // Somebody else has it for a while, so that an Event repeats an earlier one.
    cluster.kubernetes().write_lease("somebody", 3);
    cluster.bed.wait_gone(1, VIP, SOON);
    cluster.bed.wait_held(1);
    wait("an Event is counted up", A_REPETITION, || {
        cluster.asked().contains(&permission("events", "patch")).then_some(())
    });
    assert_eq!((cluster.refused(), cluster.asked()), (BTreeSet::new(), granted(&objects)));
}

/// That the test before can fail: with one verb less, the audit log has the refusal.
pub(crate) fn missing() {
    let mut cluster = Cluster::start();
    let mut objects = objects("rbac");
    let nodes = objects.iter_mut().filter_map(|object| object.pointer_mut("/rules/0"));
    let mut nodes = nodes.filter(|rule| rule["resources"] == json!(["nodes"]));
    nodes.next().unwrap()["verbs"] = json!(["list"]);
    drop(nodes);
    cluster.permit(&objects);
    cluster.bed.start(0, &[("k8s_config_file", &cluster.credentials(0))]);
    wait("something is refused", SOON, || (!cluster.refused().is_empty()).then_some(()));
    assert_eq!(cluster.refused(), BTreeSet::from([permission("nodes", "watch")]));
}

/// Members; what they keep each other's Leases for is over in ten minutes at the earliest.
pub(crate) fn spread() {
    let (asked, granted) = handed_over(&[SERVICES, "--services-distribution=spread"], &[SPREAD]);
    let later = [permission("leases", "delete")];
    assert_eq!(asked, granted.into_iter().filter(|it| !later.contains(it)).collect());
}

pub(crate) fn lease() {
    let (asked, granted) = handed_over(&[SERVICES, "--services-distribution=lease"], &[LEASE]);
    assert_eq!(asked, granted);
}

/// The status is somebody else's to write.
pub(crate) fn foreign() {
    let settings =
        [SPREAD, ("vipcast_services_allocate", "false"), ("vipcast_services_metallb_pools", "false")];
    let flags = [
        SERVICES,
        "--services-distribution=spread",
        "--services-allocate=false",
        "--services-metallb-pools=false",
    ];
    let (asked, granted) = handed_over(&flags, &settings);
    assert_eq!(asked, granted);
}

/// Without a control-plane VIP its Lease is none of a daemon's business.
pub(crate) fn alone() {
    let named = |distribution| ("vipcast_services_distribution", distribution);
    for distribution in ["lease", "leasePerService"] {
        let flags = format!("rbac --arp --services --services-distribution={distribution}");
        served_alone(&flags, &[named(distribution)]);
    }
    let flags = "rbac --bgp --localAS=65000 --bgppeers=10.77.0.9:65000 --services --services-allocate=false \
                 --services-metallb-pools=false --events-enabled=false";
    let settings = [
        ("vip_arp", ""),
        ("bgp_enable", "true"),
        ("bgp_as", "65000"),
        ("bgp_routerid", "10.77.0.11"),
        ("bgp_peers", "10.77.0.9:65000"),
        ("vipcast_services_allocate", "false"),
        ("vipcast_services_metallb_pools", "false"),
        ("vipcast_events_enabled", "false"),
    ];
    served_alone(flags, &settings);
}

fn served_alone(flags: &str, settings: &[(&str, &str)]) {
    let objects = objects(flags);
    let mut cluster = Cluster::start();
    let without = [("cp_enable", "false"), ("address", "")];
    let mut granted = cluster.serve_all(&objects, 1, &[&without, settings].concat());
    let mut asked = cluster.asked();
    asked.retain(|it| !UNASKED.contains(&(it.0.as_str(), it.1.as_str())));
    for verb in LATER {
        granted.remove(&permission("leases", verb));
        asked.remove(&permission("leases", verb));
    }
    assert_eq!((cluster.refused(), asked), (BTreeSet::new(), granted), "{flags}");
}

/// What two daemons that announce a control plane and Services have asked for until one has followed the other, and what
/// was permitted.
fn handed_over(flags: &[&str], settings: &[(&str, &str)]) -> (BTreeSet<Permission>, BTreeSet<Permission>) {
    let objects = objects(&flags.join(" "));
    let mut cluster = Cluster::start();
    let granted = cluster.serve_all(&objects, 2, &[&[POOLS][..], settings].concat());
    cluster.bed.terminate(0);
    cluster.bed.wait_held(1);
    let mut asked = cluster.asked();
    asked.retain(|it| !UNASKED.contains(&(it.0.as_str(), it.1.as_str())));
    assert_eq!(cluster.refused(), BTreeSet::new());
    (asked, granted)
}

/// Each by itself; the log names what is refused, once, and what to do.
pub(crate) fn lacking() {
    for (resource, verb, message) in [
        ("services/status", "patch", "services cannot be written, asking again until it is granted"),
        ("endpointslices", "list", "watch refused, asking again until it is granted"),
    ] {
        let mut cluster = Cluster::start();
        let mut objects = objects(&format!("{SERVICES} --services-distribution=spread"));
        for rules in objects.iter_mut().filter_map(|object| object.get_mut("rules")?.as_array_mut()) {
            for rule in rules.iter_mut().filter(|rule| rule["resources"] == json!([resource])) {
                rule["verbs"].as_array_mut().unwrap().retain(|it| it != verb);
            }
            // The server accepts none without a verb.
            rules.retain(|rule| rule["verbs"] != json!([]));
        }
        cluster.permit(&objects);
        cluster.offer();
        cluster.serve(0, &[POOLS, SPREAD]);
        let missing = permission(resource, verb);
        wait("it is asked for again", A_REPETITION, || {
            let refused =
                cluster.entries().iter().filter(|entry| is_refused(entry)).map(asked_for).collect::<Vec<_>>();
            (refused.len() > 1).then_some(())
        });
        assert_eq!(cluster.refused(), BTreeSet::from([missing]));
        let said = cluster.bed.logged(0, message);
        assert_eq!(said.len(), 1, "{said:?}");
        let names = resource.split('/').next().unwrap();
        assert!(said[0]["error"].as_str().unwrap().contains(names), "{said:?}");
        assert!(said[0]["advice"].as_str().unwrap().contains("vipcast manifest rbac"), "{said:?}");
        cluster.bed.wait_held(0);
    }
}

/// Two nodes; the API server is on the first, as on a node of the control plane.
struct Cluster {
    bed: Bed,
    audit: PathBuf,
}

impl Cluster {
    fn start() -> Self {
        let mut bed = Bed::bare(2);
        let (audit, policy) =
            (bed.directory.file("audit.log"), bed.directory.write("audit.yaml", POLICY).unwrap());
        let first = &bed.lan.nodes[0];
        let nsenter = in_path("nsenter").unwrap().display().to_string();
        let namespace = format!("--net=/proc/{}/fd/{}", std::process::id(), first.namespace.number());
        let launch = Launch {
            wrapper: vec![nsenter, namespace],
            address: [0, 0, 0, 0].into(),
            names: vec![VIP.to_owned(), first.v4.to_string()],
            arguments: vec![
                format!("--audit-policy-file={}", policy.display()),
                format!("--audit-log-path={}", audit.display()),
            ],
            ..Launch::default()
        };
        bed.real = Some(RealApi::start(launch).unwrap());
        Self { bed, audit }
    }

    /// A Service with an endpoint, and a pool for it.
    fn offer(&self) {
        let metadata = |name: &str, namespace: &str| json!({ "name": name, "namespace": namespace });
        let pool = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("kubevip", "kube-system"),
            "data": { "range-global": "10.77.1.1-10.77.1.250" },
        });
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata("web", "default"),
            "spec": { "type": "LoadBalancer", "ports": [{ "port": 80, "protocol": "TCP" }] },
        });
        for object in [pool, service] {
            self.create(&collection(&object), &object);
        }
    }

    /// Daemons for a Service, until they have asked for all that these objects permit, of that which is asked for within a
    /// minute and without MetalLB; says what that is.
    fn serve_all(
        &mut self,
        objects: &[Value],
        daemons: usize,
        settings: &[(&str, &str)],
    ) -> BTreeSet<Permission> {
        self.permit(objects);
        self.offer();
        for node in 0..daemons {
            self.serve(node, settings);
        }
        let mut granted = granted(objects);
        granted.retain(|it| !UNASKED.contains(&(it.0.as_str(), it.1.as_str())));
        let late = LATER.map(|verb| permission("leases", verb));
        let unasked_for = || {
            let asked = self.asked();
            granted
                .iter()
                .filter(|it| !late.contains(it) && !asked.contains(*it))
                .cloned()
                .collect::<BTreeSet<_>>()
        };
        let until = clock::now() + A_REPETITION;
        while !unasked_for().is_empty() && clock::now() < until {
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(unasked_for(), BTreeSet::new(), "permitted, and never asked for");
        granted
    }

    fn serve(&mut self, node: usize, settings: &[(&str, &str)]) {
        let credentials = self.credentials(node);
        let services = [
            ("k8s_config_file", credentials.as_str()),
            ("svc_enable", "true"),
            ("vip_servicesinterface", "eth0"),
        ];
        self.bed.start(node, &[&services, settings].concat());
    }

    /// Requests of the administrator, on the first node.
    fn kubernetes(&self) -> Kubernetes<'_> {
        Kubernetes { namespace: self.namespace(), kubeconfig: self.bed.kubeconfig() }
    }

    fn namespace(&self) -> &Namespace {
        &self.bed.lan.nodes[0].namespace
    }

    /// Creates the objects, and the nodes, and waits until the API server goes by all of them.
    fn permit(&self, objects: &[Value]) {
        for object in objects {
            self.create(&collection(object), object);
        }
        for node in &self.bed.lan.nodes {
            let labels = json!({ "node-role.kubernetes.io/control-plane": "" });
            let metadata = json!({ "name": node.name, "labels": labels });
            self.create(
                "/api/v1/nodes",
                &json!({ "apiVersion": "v1", "kind": "Node", "metadata": metadata }),
            );
        }
        for (resource, verb) in granted(objects) {
            let what = format!("{verb} {resource} is permitted");
            let any = || LEASES.iter().any(|lease| self.is_permitted(&resource, &verb, lease));
            wait(&what, SOON, || any().then_some(()));
        }
    }

    /// Of Leases, whether it is for that one.
    fn is_permitted(&self, resource: &str, verb: &str, lease: &str) -> bool {
        let mut spec = json!({ "user": USER });
        if resource.starts_with('/') {
            spec["nonResourceAttributes"] = json!({ "path": resource, "verb": verb });
        } else {
            let (group, namespace, name) = match resource {
                "leases" => ("coordination.k8s.io", "kube-system", lease),
                "events" => ("events.k8s.io", "default", ""),
                "configmaps" => ("", "kube-system", "kubevip"),
                "endpointslices" => ("discovery.k8s.io", "", ""),
                "servicecidrs" => ("networking.k8s.io", "", ""),
                "ipaddresspools" => ("metallb.io", "", ""),
                _ => ("", "", ""),
            };
            let name = if verb == "create" { "" } else { name };
            let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
            spec["resourceAttributes"] = json!({
                "group": group, "resource": resource, "subresource": subresource, "verb": verb,
                "namespace": namespace, "name": name,
            });
        }
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec,
        });
        let answer = self.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", &review);
        answer["status"]["allowed"] == true
    }

    /// A kubeconfig file for the daemon on that node, with a token of the ServiceAccount.
    fn credentials(&self, node: usize) -> String {
        let request = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {} });
        let answer = self.create("/api/v1/namespaces/kube-system/serviceaccounts/vipcast/token", &request);
        let server = match node {
            0 => "127.0.0.1".to_owned(),
            _ => self.bed.lan.nodes[0].v4.to_string(),
        };
        let cluster = json!({
            "server": format!("https://{server}:6443"),
            "certificate-authority": self.bed.real.as_ref().unwrap().ca(),
        });
        let file = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "lab",
            "clusters": [{ "name": "lab", "cluster": cluster }],
            "users": [{ "name": "lab", "user": { "token": answer["status"]["token"] } }],
            "contexts": [{ "name": "lab", "context": { "cluster": "lab", "user": "lab" } }],
        });
        let name = format!("account-{node}.conf");
        self.bed.directory.write(&name, &file.to_string()).unwrap().display().to_string()
    }

    fn create(&self, path: &str, object: &Value) -> Value {
        let kubeconfig = self.bed.kubeconfig();
        let request = async {
            let file = kube::config::Kubeconfig::read_from(&kubeconfig).unwrap();
            let config = kube::Config::from_custom_kubeconfig(file, &Default::default()).await.unwrap();
            let client = kube::Client::try_from(config).unwrap();
            create(&client, path, JSON, object.to_string()).await.unwrap()
        };
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        self.namespace().run(|| runtime().block_on(request)).unwrap()
    }

    /// What the daemons asked for, allowed or not.
    fn asked(&self) -> BTreeSet<Permission> {
        self.entries().iter().map(asked_for).collect()
    }

    /// What of it was refused.
    fn refused(&self) -> BTreeSet<Permission> {
        let entries = self.entries();
        entries.iter().filter(|entry| is_refused(entry)).map(asked_for).collect()
    }

    /// The lines of the audit log about the ServiceAccount; the last one may be half-written.
    fn entries(&self) -> Vec<Value> {
        let log = fs::read_to_string(&self.audit).unwrap_or_default();
        let entries = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        entries.filter(|entry| entry["user"]["username"] == USER).collect()
    }
}

/// What `vipcast manifest rbac` prints.
fn objects(line: &str) -> Vec<Value> {
    documents(line).iter().map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

/// All that the rules in these objects permit.
fn granted(objects: &[Value]) -> BTreeSet<Permission> {
    let rules = objects.iter().filter_map(|object| object["rules"].as_array()).flatten();
    let words = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let permissions = |rule: &Value| {
        let subjects = [words(&rule["resources"]), words(&rule["nonResourceURLs"])].concat();
        let verbs = words(&rule["verbs"]);
        subjects
            .into_iter()
            .flat_map(move |subject| verbs.clone().into_iter().map(move |verb| (subject.clone(), verb)))
    };
    rules.flat_map(permissions).collect()
}

fn is_refused(entry: &Value) -> bool {
    matches!(entry["responseStatus"]["code"].as_u64(), Some(401 | 403))
}

fn asked_for(entry: &Value) -> Permission {
    let word = |value: &Value| value.as_str().map(str::to_owned);
    let path =
        || entry["requestURI"].as_str().unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
    let subject = word(&entry["objectRef"]["resource"]).unwrap_or_else(path);
    let subject = match word(&entry["objectRef"]["subresource"]) {
        Some(part) => format!("{subject}/{part}"),
        None => subject,
    };
    (subject, word(&entry["verb"]).unwrap_or_default())
}

fn permission(subject: &str, verb: &str) -> Permission {
    (subject.to_owned(), verb.to_owned())
}

/// Repeated Events are told every half minute.
const A_REPETITION: Duration = Duration::from_secs(60);
/// A control plane and Services, with a pool that is for namespaces with a label.
const SERVICES: &str = r#"rbac --controlplane --address 10.77.0.100 --arp --services --services-pools [{"name":"lan","addresses":"10.77.2.0/24","namespaceSelector":"team=shop"}]"#;
const POOLS: (&str, &str) = (
    "vipcast_services_pools",
    r#"[{"name":"lan","addresses":"10.77.2.0/24","namespaceSelector":"team=shop"}]"#,
);
const SPREAD: (&str, &str) = ("vipcast_services_distribution", "spread");
const LEASE: (&str, &str) = ("vipcast_services_distribution", "lease");
/// A Lease is read again after a conflict, and deleted with its Service or its Node.
const LATER: [&str; 2] = ["get", "delete"];
/// One of these is needed, whatever is announced.
const LEASES: [&str; 2] = ["plndr-cp-lock", "vipcast-allocator"];
/// Repetitions of Events, changes of what is not there, and what the health gate asks for.
const UNASKED: &[(&str, &str)] = &[("events", "patch"), ("ipaddresspools", "watch"), ("/readyz", "get")];
const USER: &str = "system:serviceaccount:kube-system:vipcast";
const POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{ level: Metadata }]
";

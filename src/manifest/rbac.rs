//! What the daemon may do, and nothing beyond: the verbs that `src/kube` uses, on the objects that it uses them on.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};

use super::identity::metadata;
use super::object::Object;
use super::{Options, blame, checked, services};
use crate::config::bgp::Bgp;
use crate::config::services::Services;
use crate::config::{Config, Password, Problem, Problems, Resolved};

/// How far the permissions reach.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// To everything that the daemon uses.
    Cluster,
    /// To what lies in namespaces: no Nodes, so that a lone node does not know that it is alone.
    Namespaces(Roles),
}

/// The kind of a role that is bound within a namespace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Roles {
    /// In that namespace.
    Role,
    /// For any namespace.
    ClusterRole,
}

/// The ServiceAccount, its roles and their bindings.
///
/// # Errors
///
/// Roles of namespaces cannot permit what the settings ask for.
pub fn rbac(resolved: &Resolved, options: &Options, reach: Reach) -> Result<Vec<Object>, Problems> {
    let config = &resolved.config;
    let mut objects = service_account(options);
    if reach == Reach::Cluster {
        objects.extend(cluster_wide(config, options));
    }
    let roles = match reach {
        Reach::Cluster | Reach::Namespaces(Roles::Role) => Roles::Role,
        Reach::Namespaces(Roles::ClusterRole) => Roles::ClusterRole,
    };
    if config.control_plane.is_some() || config.services.is_none() {
        let lease = Grant { name: options.names.lease_role(), namespace: &config.election.lease_namespace };
        objects.extend(lease.objects(lease_rules(&config.election.lease_name), roles, options));
    }
    if let Some(services) = &config.services {
        objects.extend(of_services(services, config.events, roles, options));
    }
    for (namespace, names) in secrets(config) {
        let secrets = Grant { name: options.names.secrets_role(), namespace };
        let mut read = rule("", "secrets", &["get", "list", "watch"]);
        read.resource_names = Some(names.into_iter().map(str::to_owned).collect());
        objects.extend(secrets.objects(vec![read], roles, options));
    }
    if config.events {
        let events = Grant { name: options.names.events_role(), namespace: EVENTS_NAMESPACE };
        objects.extend(events.objects(
            vec![rule("events.k8s.io", "events", &["create", "patch"])],
            roles,
            options,
        ));
    }
    checked(objects, out_of_reach(resolved, reach).into_iter().collect())
}

/// Whoever announces Services reads Nodes, which lie in no namespace.
fn out_of_reach(resolved: &Resolved, reach: Reach) -> Option<Problem> {
    let reason = "which nodes may announce Services is read from Nodes, which lie in no namespace, and Roles reach single ones";
    let fix = "leave out --role and --rolebinding";
    (resolved.config.services.is_some() && reach != Reach::Cluster)
        .then(|| blame(resolved, SERVICES, reason, fix))
}

/// What lies in namespaces that are known.
fn of_services(services: &Services, events: bool, roles: Roles, options: &Options) -> Vec<Object> {
    let mut objects = Vec::new();
    if let Some(namespace) = &services.namespace {
        let all = Grant { name: options.names.services_role(), namespace };
        objects.extend(all.objects(services::rules(services, events), roles, options));
    }
    let leases = services::lease_rules(services);
    if !leases.is_empty() {
        let members = Grant { name: options.names.members_role(), namespace: &services.lease.namespace };
        objects.extend(members.objects(leases, roles, options));
    }
    for (namespace, read) in services::pool_rules(services) {
        let pools = Grant { name: options.names.pools_role(), namespace };
        objects.extend(pools.objects(vec![read], roles, options));
    }
    objects
}

/// The ServiceAccount alone.
#[must_use]
pub fn service_account(options: &Options) -> Vec<Object> {
    let metadata = metadata(options.names.service_account(), Some(&options.namespace), options);
    vec![Object::ServiceAccount(Box::new(ServiceAccount { metadata, ..ServiceAccount::default() }))]
}

/// Permissions within one namespace.
struct Grant<'a> {
    name: &'a str,
    namespace: &'a str,
}

impl Grant<'_> {
    fn objects(&self, rules: Vec<PolicyRule>, roles: Roles, options: &Options) -> [Object; 2] {
        let kind = match roles {
            Roles::Role => "Role",
            Roles::ClusterRole => "ClusterRole",
        };
        let metadata = |namespace| metadata(self.name, namespace, options);
        let rules = Some(rules);
        let role = match roles {
            Roles::Role => Object::Role(Box::new(Role { metadata: metadata(Some(self.namespace)), rules })),
            Roles::ClusterRole => {
                let role = ClusterRole { metadata: metadata(None), rules, aggregation_rule: None };
                Object::ClusterRole(Box::new(role))
            }
        };
        let binding = RoleBinding {
            metadata: metadata(Some(self.namespace)),
            role_ref: role_ref(kind, self.name),
            subjects: Some(vec![subject(options)]),
        };
        [role, Object::RoleBinding(Box::new(binding))]
    }
}

fn cluster_wide(config: &Config, options: &Options) -> [Object; 2] {
    let (role, binding) = (options.names.cluster_role(), options.names.cluster_role_binding());
    // Who else is in the control plane, and which nodes may announce Services.
    let mut rules = vec![rule("", "nodes", &["list", "watch"])];
    rules.extend(probed_path(config).map(|path| PolicyRule {
        non_resource_urls: Some(vec![path]),
        verbs: vec!["get".to_owned()],
        ..PolicyRule::default()
    }));
    if let Some(services) = &config.services {
        rules.extend(services::cluster_rules(services));
        if services.namespace.is_none() {
            rules.extend(services::rules(services, config.events));
        }
    }
    let role_object =
        ClusterRole { metadata: metadata(role, None, options), rules: Some(rules), aggregation_rule: None };
    let binding = ClusterRoleBinding {
        metadata: metadata(binding, None, options),
        role_ref: role_ref("ClusterRole", role),
        subjects: Some(vec![subject(options)]),
    };
    [Object::ClusterRole(Box::new(role_object)), Object::ClusterRoleBinding(Box::new(binding))]
}

/// What the health gate asks with our credentials. Kubernetes permits it to everybody, unless somebody has taken that away;
/// a server of its own address is asked without credentials.
fn probed_path(config: &Config) -> Option<String> {
    let health = config.health.as_ref().filter(|health| health.address.is_none())?;
    health.path.split('?').next().map(str::to_owned)
}

/// The Secrets with passwords, by namespace.
fn secrets(config: &Config) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut secrets: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for password in config.bgp.iter().flat_map(Bgp::passwords) {
        if let Password::Kubernetes(secret) = password {
            secrets.entry(&secret.namespace).or_default().insert(&secret.name);
        }
    }
    secrets
}

/// Only `create` cannot be limited to a name, because the name is not known when it is judged.
fn lease_rules(name: &str) -> Vec<PolicyRule> {
    let leases = |verbs| rule("coordination.k8s.io", "leases", verbs);
    let mut ours = leases(&["get", "list", "watch", "update"]);
    ours.resource_names = Some(vec![name.to_owned()]);
    vec![leases(&["create"]), ours]
}

pub(super) fn rule(group: &str, resource: &str, verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(vec![resource.to_owned()]),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..PolicyRule::default()
    }
}

fn role_ref(kind: &str, name: &str) -> RoleRef {
    RoleRef {
        api_group: "rbac.authorization.k8s.io".to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
    }
}

fn subject(options: &Options) -> Subject {
    Subject {
        kind: "ServiceAccount".to_owned(),
        name: options.names.service_account().to_owned(),
        namespace: Some(options.namespace.clone()),
        api_group: None,
    }
}

/// Events about Nodes, which have no namespace, are written here.
const EVENTS_NAMESPACE: &str = "default";
const SERVICES: &str = "services.enabled";

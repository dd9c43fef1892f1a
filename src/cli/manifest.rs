//! `vipcast manifest`: the Kubernetes objects that a cluster needs to run the daemon, by kube-vip's flags.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::builder::BoolishValueParser;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Subcommand, ValueEnum};

use crate::config::{self, Flags, Problems, Purpose, Resolved, RunArgs};
use crate::manifest::{
    self, Credentials, DEFAULT_REPOSITORY, Form, Names, Object, Options, Placement, Reach, Roles, SettingsIn,
};

/// The flags of `vipcast manifest`.
#[derive(Args, Clone, Debug)]
#[command(arg_required_else_help = true)]
pub struct ManifestArgs {
    /// Which objects.
    #[command(subcommand)]
    pub what: What,
}

/// The flags of `vipcast kubeadm`, by which kube-vip's documentation makes the static pod as well.
#[derive(Args, Clone, Debug)]
#[command(arg_required_else_help = true)]
pub struct KubeadmArgs {
    /// Before which command of kubeadm's: the manifest is the same.
    #[command(subcommand)]
    pub before: Before,
}

/// A command of kubeadm's.
#[derive(Clone, Debug, Subcommand)]
pub enum Before {
    /// The Pod of `vipcast manifest pod`.
    Init(Common),
    /// The Pod of `vipcast manifest pod`.
    Join(Common),
}

/// Which objects.
#[derive(Clone, Debug, Subcommand)]
pub enum What {
    /// A Pod: for the kubelet's directory of manifests, such as /etc/kubernetes/manifests.
    Pod(Common),
    /// A DaemonSet on the nodes of the control plane; for Services alone on all nodes.
    Daemonset(DaemonsetArgs),
    /// The ServiceAccount of the pods, and no more permissions than they use.
    Rbac(RbacArgs),
    /// The ServiceAccount alone.
    ServiceAccount(Common),
    /// A ConfigMap with the settings, for `daemonset --from-configmap`.
    Configmap(Common),
    /// A PodMonitor, by which the Prometheus operator finds the pods.
    Podmonitor(Common),
}

/// What all of them take: every setting of the daemon, and how the objects are written.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// The settings.
    #[command(flatten)]
    pub settings: Settings,
    /// Image; without tag and digest it gets this version.
    #[arg(long, default_value = DEFAULT_REPOSITORY, value_parser = image)]
    pub image: String,
    /// Namespace of the objects (--namespace is the Lease's).
    #[arg(long, value_name = "NAMESPACE", default_value = "kube-system", value_parser = namespace)]
    pub manifest_namespace: String,
    /// Call the objects and label the pods as kube-vip does.
    #[arg(long)]
    pub kube_vip_names: bool,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value_t = Output::Yaml)]
    pub output: Output,
}

/// The flags of `vipcast manifest daemonset`.
#[derive(Args, Clone, Debug)]
pub struct DaemonsetArgs {
    /// What all of them take.
    #[command(flatten)]
    pub common: Common,
    /// Run on the nodes of the control plane, whatever their taints; with =false on all nodes without a taint [default:
    /// true; with Services and without a control-plane VIP: on all nodes, whatever their taints].
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "BOOL",
        default_missing_value = "true", value_parser = BoolishValueParser::new())]
    pub taint: Option<bool>,
    /// Read the settings from the ConfigMap of `vipcast manifest configmap` and not from the environment.
    #[arg(long)]
    pub from_configmap: bool,
}

/// The flags of `vipcast manifest rbac`.
#[derive(Args, Clone, Debug)]
pub struct RbacArgs {
    /// What all of them take.
    #[command(flatten)]
    pub common: Common,
    /// Nothing cluster-wide: only Roles and RoleBindings. Nodes can then not be read.
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "BOOL",
        default_value = "false", default_missing_value = "true", value_parser = BoolishValueParser::new())]
    pub role: bool,
    /// The same with ClusterRoles in place of the Roles.
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "BOOL",
        default_value = "false", default_missing_value = "true", value_parser = BoolishValueParser::new())]
    pub rolebinding: bool,
}

/// The flags of `vipcast run`, and kube-vip's `--inCluster`, which means something for a manifest only.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The flags that were given.
    pub flags: Flags,
    /// Where the pods' credentials come from.
    pub credentials: Credentials,
}

/// Form of the output.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Output {
    /// Documents separated by `---`.
    Yaml,
    /// An object, or a List of them.
    Json,
}

/// Prints the objects. Exit code 2: the settings are wrong; 1: the output cannot be written.
#[must_use]
pub fn run(args: &ManifestArgs) -> ExitCode {
    let common = args.what.common();
    match objects(&args.what) {
        Ok(objects) => print(&objects, common.form()),
        Err(problems) => {
            eprintln!("{problems}");
            ExitCode::from(WRONG_CONFIGURATION)
        }
    }
}

impl KubeadmArgs {
    /// As `vipcast manifest pod`.
    #[must_use]
    pub fn manifest(self) -> ManifestArgs {
        let (Before::Init(common) | Before::Join(common)) = self.before;
        ManifestArgs { what: What::Pod(common) }
    }
}

impl What {
    fn common(&self) -> &Common {
        match self {
            Self::Pod(common)
            | Self::ServiceAccount(common)
            | Self::Configmap(common)
            | Self::Podmonitor(common) => common,
            Self::Daemonset(args) => &args.common,
            Self::Rbac(args) => &args.common,
        }
    }

    /// The daemon's settings have to be complete where the daemon gets them.
    fn purpose(&self) -> Purpose {
        match self {
            Self::Pod(_) | Self::Daemonset(_) | Self::Configmap(_) => Purpose::Run,
            Self::Rbac(_) | Self::ServiceAccount(_) | Self::Podmonitor(_) => Purpose::Surroundings,
        }
    }
}

impl Common {
    fn options(&self) -> Options {
        Options {
            image: manifest::complete_image(&self.image),
            namespace: self.manifest_namespace.clone(),
            names: if self.kube_vip_names { Names::KubeVip } else { Names::Own },
            credentials: self.settings.credentials,
        }
    }

    fn form(&self) -> Form {
        match self.output {
            Output::Yaml => Form::Yaml,
            Output::Json => Form::Json,
        }
    }
}

impl Args for Settings {
    fn augment_args(command: Command) -> Command {
        RunArgs::augment_args(command).mut_arg(IN_CLUSTER, |arg| {
            arg.hide(false)
                .help(
                    "Use the ServiceAccount's credentials and not a kubeconfig of the host [default: false]",
                )
                .value_parser(BoolishValueParser::new())
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let RunArgs { flags } = RunArgs::from_arg_matches(matches)?;
        let credentials = match matches.get_one::<bool>(IN_CLUSTER) {
            Some(true) => Credentials::ServiceAccount,
            Some(false) | None => Credentials::Host,
        };
        Ok(Self { flags, credentials })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn objects(what: &What) -> Result<Vec<Object>, Problems> {
    let options = match what {
        // Permissions are for the ServiceAccount: its namespace is the one that counts.
        What::Rbac(args) => Options { credentials: Credentials::ServiceAccount, ..args.common.options() },
        What::Pod(_)
        | What::Daemonset(_)
        | What::ServiceAccount(_)
        | What::Configmap(_)
        | What::Podmonitor(_) => what.common().options(),
    };
    let resolved = config::load_for(&what.common().settings.flags, what.purpose(), &options.host())?;
    for notice in &resolved.notices {
        eprintln!("{notice}");
    }
    build(what, &resolved, &options)
}

fn build(what: &What, resolved: &Resolved, options: &Options) -> Result<Vec<Object>, Problems> {
    match what {
        What::Pod(_) => manifest::pod(resolved, options),
        What::Daemonset(args) => {
            let placement = args.placement(resolved);
            let settings = if args.from_configmap { SettingsIn::ConfigMap } else { SettingsIn::Environment };
            manifest::daemonset(resolved, options, placement, settings)
        }
        What::Rbac(args) => manifest::rbac(resolved, options, args.reach()),
        What::ServiceAccount(_) => Ok(manifest::service_account(options)),
        What::Configmap(_) => manifest::config_map(resolved, options),
        What::Podmonitor(_) => manifest::pod_monitor(resolved, options),
    }
}

impl DaemonsetArgs {
    fn placement(&self, resolved: &Resolved) -> Placement {
        match self.taint {
            Some(true) => Placement::ControlPlane,
            Some(false) => Placement::Untainted,
            None => Placement::usual(&resolved.config),
        }
    }
}

impl RbacArgs {
    /// As in kube-vip, `--role` implies that bindings are RoleBindings.
    fn reach(&self) -> Reach {
        match (self.role, self.rolebinding) {
            (true, _) => Reach::Namespaces(Roles::Role),
            (false, true) => Reach::Namespaces(Roles::ClusterRole),
            (false, false) => Reach::Cluster,
        }
    }
}

/// A reader that has gone away, such as `head`, has what it wanted; a full disk is another matter.
fn print(objects: &[Object], form: Form) -> ExitCode {
    let text = match manifest::render(objects, form) {
        Ok(text) => text,
        Err(error) => return failed(&error),
    };
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => failed(&error),
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("vipcast manifest: {error}");
    ExitCode::FAILURE
}

fn image(text: &str) -> Result<String, &'static str> {
    if manifest::is_reference(text) {
        Ok(text.to_owned())
    } else {
        Err("not an image: write for example registry.example:5000/vipcast:1.0")
    }
}

fn namespace(text: &str) -> Result<String, &'static str> {
    if config::is_label(text) {
        Ok(text.to_owned())
    } else {
        Err("not a namespace: lower-case letters, digits and -, at most 63")
    }
}

const IN_CLUSTER: &str = "inCluster";
const WRONG_CONFIGURATION: u8 = 2;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        manifest: ManifestArgs,
    }

    fn parse(line: &str) -> What {
        let words = std::iter::once("manifest").chain(line.split(' '));
        Cli::try_parse_from(words).unwrap().manifest.what
    }

    #[test]
    fn the_flags_of_run_and_of_every_manifest_go_together() {
        Cli::augment_args(Command::new("manifest")).debug_assert();
    }

    #[test]
    fn the_line_of_cluster_api_is_understood_as_it_is() {
        let what =
            parse("pod --interface eth0 --address 192.168.1.100 --controlplane --arp --leaderElection");
        let mut given = what.common().settings.flags.0.clone();
        given.sort();
        let expected = [
            ("address", "192.168.1.100"),
            ("arp", "true"),
            ("controlplane", "true"),
            ("interface", "eth0"),
            ("leaderElection", "true"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!((given, what.common().options()), (expected.to_vec(), Options::default()));
    }

    #[test]
    fn kube_vips_kubeadm_init_and_join_print_the_static_pod() {
        #[derive(Debug, Parser)]
        struct Kubeadm {
            #[command(flatten)]
            kubeadm: KubeadmArgs,
        }
        let line = "--interface eth0 --address 192.168.1.100 --controlplane --arp --leaderElection";
        let What::Pod(pod) = parse(&format!("pod {line}")) else { panic!() };
        for node in ["init", "join"] {
            let words = ["kubeadm", node].into_iter().chain(line.split(' '));
            let args = Kubeadm::try_parse_from(words).unwrap().kubeadm;
            let What::Pod(ours) = args.manifest().what else { panic!("{node}") };
            assert_eq!(
                (ours.settings.flags.clone(), ours.options()),
                (pod.settings.flags.clone(), pod.options())
            );
        }
    }

    #[test]
    fn in_cluster_is_for_the_manifest_and_not_for_the_daemon() {
        let credentials = |line| {
            let settings = parse(line).common().settings.clone();
            assert_eq!(settings.flags, Flags::default());
            settings.credentials
        };
        assert_eq!(credentials("daemonset --inCluster --taint"), Credentials::ServiceAccount);
        assert_eq!(credentials("daemonset --inCluster=true"), Credentials::ServiceAccount);
        assert_eq!(credentials("daemonset --inCluster=false"), Credentials::Host);
        assert_eq!(credentials("rbac"), Credentials::Host);
        let wrong = Cli::try_parse_from(["manifest", "pod", "--inCluster=maybe"]).unwrap_err();
        assert_eq!(wrong.exit_code(), 2);
    }

    #[test]
    fn switches_of_one_manifest_are_kube_vips() {
        let reach = |line| {
            let What::Rbac(args) = parse(line) else { panic!("{line}") };
            args.reach()
        };
        assert_eq!(reach("rbac"), Reach::Cluster);
        assert_eq!(reach("rbac --rolebinding"), Reach::Namespaces(Roles::ClusterRole));
        assert_eq!(reach("rbac --role"), Reach::Namespaces(Roles::Role));
        let taint = |line| {
            let What::Daemonset(args) = parse(line) else { panic!("{line}") };
            args.taint
        };
        assert_eq!(
            [taint("daemonset"), taint("daemonset --taint"), taint("daemonset --taint=false")],
            [None, Some(true), Some(false)]
        );
    }
}

//! The command line: one file per subcommand.

pub mod answer;
pub mod config;
pub mod demo;
pub mod manifest;
pub mod peers;
pub mod run;
pub mod services;
pub mod status;
pub mod version;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

/// The virtual IPs of a Kubernetes cluster: elected, announced, fenced and moved.
#[derive(Debug, Parser)]
#[command(name = "vipcast", version = version::VERSION, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    /// Unix socket of the daemon. What asks the daemon has the option itself: here it may stand before the command, too.
    #[arg(long, value_name = "PATH", global = true, hide = true)]
    socket: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon: hold the VIP whenever this node is elected.
    #[command(alias = "manager")]
    Run(run::RunArgs),
    /// Show what this node holds, and why.
    Status(status::StatusArgs),
    /// Show the BGP sessions with routers.
    #[command(alias = "bgp")]
    Peers(peers::PeersArgs),
    /// Show the routes that peers know from this node, and those that they do not.
    Routes(peers::RoutesArgs),
    /// Do something about one BGP session.
    Peer(peers::PeerArgs),
    /// Show the Services of type LoadBalancer: which address each has, who announces it, and why.
    #[command(alias = "svc")]
    Services(services::ServicesArgs),
    /// Show every decision about one thing, with its reason.
    Explain(services::ExplainArgs),
    /// Show the pools of addresses for Services.
    Pools(services::PoolsArgs),
    /// Show the configuration in effect and where each value comes from.
    Config(config::ConfigArgs),
    /// Print the Kubernetes objects that run the daemon in a cluster.
    Manifest(manifest::ManifestArgs),
    /// Print the static pod, as `manifest pod` does: kube-vip's other name for it.
    #[command(hide = true)]
    Kubeadm(manifest::KubeadmArgs),
    /// Watch three nodes on a LAN of network namespaces hand a VIP around. Needs no root and no cluster.
    Demo(demo::DemoArgs),
    /// The embedded Kubernetes API of the demo, by itself.
    #[command(hide = true)]
    DemoApi(demo::ApiArgs),
    /// Print the version.
    Version,
}

impl Cli {
    /// What the command line says; an error where nobody would heed the socket.
    fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let cli = Self::try_parse_from(words)?;
        if cli.socket.is_some() && !cli.command.asks_the_daemon() {
            let why = "--socket is for the commands that ask the daemon";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, why));
        }
        Ok(cli)
    }
}

impl Command {
    const fn asks_the_daemon(&self) -> bool {
        match self {
            Self::Status(_)
            | Self::Peers(_)
            | Self::Routes(_)
            | Self::Peer(_)
            | Self::Services(_)
            | Self::Explain(_)
            | Self::Pools(_) => true,
            Self::Run(_)
            | Self::Config(_)
            | Self::Manifest(_)
            | Self::Kubeadm(_)
            | Self::Demo(_)
            | Self::DemoApi(_)
            | Self::Version => false,
        }
    }
}

/// Parses the command line and does what it says. Exit code 2: the command line or the configuration is wrong.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Peers(args) => peers::peers(&args),
        Command::Routes(args) => peers::routes(&args),
        Command::Peer(args) => peers::peer(&args),
        Command::Services(args) => services::services(&args),
        Command::Explain(args) => services::explain(&args),
        Command::Pools(args) => services::pools(&args),
        Command::Config(args) => config::run(&args),
        Command::Manifest(args) => manifest::run(&args),
        Command::Kubeadm(args) => manifest::run(&args.manifest()),
        Command::Demo(args) => demo::run(&args),
        Command::DemoApi(args) => demo::api(&args),
        Command::Version => {
            println!("{}", version::line());
            ExitCode::SUCCESS
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(line: &str) -> Result<Command, ErrorKind> {
        let words = line.split(' ').map(OsString::from);
        Cli::read(words).map(|cli| cli.command).map_err(|error| error.kind())
    }

    fn socket(line: &str) -> PathBuf {
        match read(line).unwrap_or_else(|error| panic!("{line}: {error}")) {
            Command::Status(args) => args.socket,
            Command::Peers(args) => args.answer.socket,
            Command::Routes(args) => args.answer.socket,
            Command::Peer(args) => args.answer.socket,
            Command::Services(args) => args.answer.socket,
            Command::Explain(args) => args.answer.socket,
            Command::Pools(args) => args.answer.socket,
            command @ (Command::Run(_)
            | Command::Config(_)
            | Command::Manifest(_)
            | Command::Kubeadm(_)
            | Command::Demo(_)
            | Command::DemoApi(_)
            | Command::Version) => panic!("{command:?}"),
        }
    }

    #[test]
    fn whoever_asks_the_daemon_is_told_where_at_any_place_of_the_command_line() {
        let lines = [
            "status",
            "peers",
            "routes tor-1",
            "peer reset tor-1",
            "services web",
            "explain service web/shop",
            "pools",
        ];
        for line in lines {
            let words: Vec<_> = line.split(' ').collect();
            assert_eq!(socket(&format!("vipcast {line}")), Path::new(crate::admin::DEFAULT_SOCKET), "{line}");
            for at in 0..=words.len() {
                let (before, after) = words.split_at(at);
                let told = [&["vipcast"], before, &["--socket", "/tmp/s"], after].concat().join(" ");
                assert_eq!(socket(&told), Path::new("/tmp/s"), "{told}");
            }
        }
    }

    #[test]
    fn the_form_of_an_explanation_is_told_at_any_place_after_its_command() {
        for line in ["explain -o json service web/shop", "explain service -o json web/shop"] {
            let Ok(Command::Explain(args)) = read(&format!("vipcast {line}")) else { panic!("{line}") };
            assert_eq!(args.answer.output, answer::Output::Json, "{line}");
        }
    }

    #[test]
    fn a_socket_that_nobody_would_heed_is_refused() {
        for line in ["--socket /tmp/s version", "version --socket /tmp/s", "--socket /tmp/s run"] {
            let refused = read(&format!("vipcast {line}")).map(|_| ());
            assert_eq!(refused, Err(ErrorKind::ArgumentConflict), "{line}");
        }
    }
}

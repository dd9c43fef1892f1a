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

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The virtual IPs of a Kubernetes cluster: elected, announced, fenced and moved.
#[derive(Debug, Parser)]
#[command(name = "vipcast", version = version::VERSION, propagate_version = true, arg_required_else_help = true)]
struct Cli {
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

/// Parses the command line and does what it says. Exit code 2: the command line or the configuration is wrong.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::parse().command {
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

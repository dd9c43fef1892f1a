//! `vipcast services`, `vipcast explain service` and `vipcast pools`: what is known of Services on this node.

mod prose;
mod table;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::str::FromStr;

use clap::{Args, Subcommand};

use super::answer::{AnswerArgs, Verdict, block_on, escaped, show, typed};
use crate::admin::client;
use crate::admin::services::{PoolStatus, Pools, ServiceExplanation, ServiceStatus, Services};

/// The flags of `vipcast services`.
#[derive(Args, Clone, Debug)]
#[command(after_help = SERVICES_EXIT_CODES)]
pub struct ServicesArgs {
    /// Only those of this namespace.
    pub namespace: Option<String>,
    /// Form and place of the answer.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// The flags of `vipcast explain`.
#[derive(Args, Clone, Debug)]
#[command(arg_required_else_help = true)]
pub struct ExplainArgs {
    /// What is to be explained.
    #[command(subcommand)]
    pub what: What,
    /// Form and place of the answer.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// What can be explained.
#[derive(Clone, Debug, Subcommand)]
pub enum What {
    /// A Service: the pools that were considered, why it has its addresses, who announces them, and who would otherwise.
    #[command(after_help = EXPLAIN_EXIT_CODES, alias = "svc")]
    Service(ServiceArgs),
}

/// The flags of `vipcast explain service`.
#[derive(Args, Clone, Debug)]
pub struct ServiceArgs {
    /// NAMESPACE/NAME; without a namespace it is `default`.
    pub service: ServiceName,
}

/// The flags of `vipcast pools`.
#[derive(Args, Clone, Debug)]
#[command(after_help = POOLS_EXIT_CODES)]
pub struct PoolsArgs {
    /// Form and place of the answer.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// A Service, as it is named on the command line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl FromStr for ServiceName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, name) = text.split_once('/').unwrap_or((DEFAULT_NAMESPACE, text));
        if namespace.is_empty() || name.is_empty() || name.contains('/') {
            return Err("write NAMESPACE/NAME");
        }
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

/// Runs `vipcast services`. The exit codes are in the help.
#[must_use]
pub fn services(args: &ServicesArgs) -> ExitCode {
    let path = match &args.namespace {
        Some(namespace) => format!("/v1/services?namespace={}", escaped(namespace)),
        None => "/v1/services".to_owned(),
    };
    let command = typed("services", args.namespace.as_deref());
    block_on(async {
        let answer = client::fetch::<Services>(&args.answer.socket, &path).await;
        let verdict = |answer: &Services| {
            judged(answer.notes.is_empty() && answer.services.iter().all(ServiceStatus::is_served))
        };
        show(&command, args.answer.output, answer, table::services, verdict)
    })
}

/// Runs `vipcast explain`. The exit codes are in the help.
#[must_use]
pub fn explain(args: &ExplainArgs) -> ExitCode {
    let ExplainArgs { what: What::Service(ServiceArgs { service }), answer: of } = args;
    let path = format!("/v1/services/{}/{}", escaped(&service.namespace), escaped(&service.name));
    let command = format!("explain service {}/{}", service.namespace, service.name);
    block_on(async {
        let answer = client::fetch::<ServiceExplanation>(&of.socket, &path).await;
        show(&command, of.output, answer, |it, _| prose::service(it), |_| Verdict::Fine)
    })
}

/// Runs `vipcast pools`. The exit codes are in the help.
#[must_use]
pub fn pools(args: &PoolsArgs) -> ExitCode {
    block_on(async {
        let answer = client::fetch::<Pools>(&args.answer.socket, "/v1/pools").await;
        let verdict =
            |answer: &Pools| judged(answer.notes.is_empty() && answer.pools.iter().all(PoolStatus::is_fine));
        show("pools", args.answer.output, answer, table::pools, verdict)
    })
}

fn judged(fine: bool) -> Verdict {
    if fine { Verdict::Fine } else { Verdict::Degraded }
}

/// As kubectl has it.
const DEFAULT_NAMESPACE: &str = "default";

const SERVICES_EXIT_CODES: &str = "\
Exit codes:
  0  every Service has its addresses, and all of them are announced
  1  the daemon does not answer, or Services are switched off on this node
  2  wrong usage
  3  a Service lacks an address, nobody announces one, or not everything is known";

const EXPLAIN_EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the daemon does not answer, or there is no such Service
  2  wrong usage";

const POOLS_EXIT_CODES: &str = "\
Exit codes:
  0  every pool has addresses left, and nothing is wrong with it or its description
  1  the daemon does not answer, or Services are switched off on this node
  2  wrong usage
  3  a pool has no address left, or a conflict, or its description a mistake, or not everything is known";

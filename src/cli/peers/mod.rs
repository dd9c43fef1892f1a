//! `vipcast peers`, `vipcast routes` and `vipcast peer reset`: what the BGP speaker on this node says about itself.

mod table;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use super::answer::{AnswerArgs, Verdict, block_on, escaped, show, typed};
use crate::admin::client::{self, ClientError};
use crate::admin::peers::{Peers, Routes};

/// The flags of `vipcast peers`.
#[derive(Args, Clone, Debug)]
#[command(after_help = PEERS_EXIT_CODES)]
pub struct PeersArgs {
    /// Form and place of the answer.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// The flags of `vipcast routes`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct RoutesArgs {
    /// Only what this peer knows; as `vipcast peers` names it.
    pub peer: Option<String>,
    /// Form and place of the answer.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// The flags of `vipcast peer`.
#[derive(Args, Clone, Debug)]
pub struct PeerArgs {
    /// What to do.
    #[command(subcommand)]
    pub order: Order,
    /// Form and place of the answer.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// What can be done about a session.
#[derive(Clone, Debug, Subcommand)]
pub enum Order {
    /// End the session and begin it anew.
    #[command(after_help = EXIT_CODES)]
    Reset(ResetArgs),
}

/// The flags of `vipcast peer reset`.
#[derive(Args, Clone, Debug)]
pub struct ResetArgs {
    /// As `vipcast peers` names it.
    pub peer: String,
}

/// Runs `vipcast peers`. The exit codes are in the help.
#[must_use]
pub fn peers(args: &PeersArgs) -> ExitCode {
    block_on(async {
        let answer = client::fetch::<Peers>(&args.answer.socket, "/v1/peers").await;
        let verdict = |peers: &Peers| match peers.peers.iter().all(|peer| peer.state == "established") {
            true => Verdict::Fine,
            false => Verdict::Degraded,
        };
        show("peers", args.answer.output, answer, table::peers, verdict)
    })
}

/// Runs `vipcast routes`. The exit codes are in the help.
#[must_use]
pub fn routes(args: &RoutesArgs) -> ExitCode {
    let path = match &args.peer {
        Some(peer) => format!("/v1/routes/{}", escaped(peer)),
        None => "/v1/routes".to_owned(),
    };
    let command = typed("routes", args.peer.as_deref());
    block_on(async {
        let answer = client::fetch::<Routes>(&args.answer.socket, &path).await;
        show(&command, args.answer.output, answer, table::routes, |_| Verdict::Fine)
    })
}

/// Runs `vipcast peer`. The exit codes are in the help.
#[must_use]
pub fn peer(args: &PeerArgs) -> ExitCode {
    let PeerArgs { order: Order::Reset(ResetArgs { peer }), answer } = args;
    block_on(async {
        let done = reset(&answer.socket, peer).await.map(|()| Done { peer: peer.clone(), reset: true });
        let text = |done: &Done, _: bool| format!("session with {} is reset\n", done.peer);
        show(&format!("peer reset {peer}"), answer.output, done, text, |_| Verdict::Fine)
    })
}

async fn reset(socket: &Path, peer: &str) -> Result<(), ClientError> {
    client::order(socket, &format!("/v1/peers/{}/reset", escaped(peer))).await
}

/// What was done.
#[derive(Deserialize, Serialize)]
struct Done {
    peer: String,
    reset: bool,
}

const PEERS_EXIT_CODES: &str = "\
Exit codes:
  0  every session is established
  1  the daemon does not answer
  2  wrong usage
  3  a session is not established";

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the daemon does not answer, or there is no such peer
  2  wrong usage";

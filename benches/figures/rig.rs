//! The laboratory of the benchmark: three nodes with real daemons, a real API server, a client and an observer.

use std::path::Path;

use tempfile::TempDir;
use vipcast::demo::cluster::{Cluster, Program, Settings, VIP};

use crate::Plan;
use crate::api::ApiServer;

/// All of it. Daemons go before their API server.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) cluster: Cluster,
    pub(crate) api: ApiServer,
    _folder: TempDir,
}

impl Rig {
    /// Everything but the daemons, which get more `environment` than the laboratory's.
    pub(crate) fn build(plan: &Plan, environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("vipcast-figures-")?;
        let kubeconfig = folder.path().join("kubeconfig");
        let mut told = vec![("k8s_config_file".to_owned(), kubeconfig.display().to_string())];
        told.extend(environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
        let settings = Settings {
            nodes: NODES,
            vip: VIP,
            daemon: daemon(&plan.daemon),
            api: None,
            environment: told,
            services: false,
            place: std::env::temp_dir(),
        };
        let cluster = Cluster::start(settings, plan.interrupt.clone())?;
        let api = ApiServer::start(cluster.lan(), &kubeconfig, Vec::new())?;
        Ok(Self { cluster, api, _folder: folder })
    }

    /// With a daemon on each node, one of which holds the VIP.
    pub(crate) fn start(plan: &Plan) -> anyhow::Result<Self> {
        let mut rig = Self::build(plan, &[])?;
        rig.cluster.start_daemons()?;
        rig.cluster.settle()?;
        Ok(rig)
    }

    /// What the daemons said last, where something went wrong.
    pub(crate) fn explain<T>(&self, result: anyhow::Result<T>) -> anyhow::Result<T> {
        if result.is_err() {
            for (name, lines) in self.cluster.last_lines(LINES) {
                eprintln!("--- the last lines of {name}\n{}", lines.join("\n"));
            }
        }
        result
    }
}

fn daemon(path: &Path) -> Program {
    Program { path: path.into(), arguments: vec!["run".into()] }
}

pub(crate) const NODES: usize = 3;
const LINES: usize = 12;

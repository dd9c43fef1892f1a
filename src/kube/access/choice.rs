//! Which credentials to use, given what is known of each candidate.

use std::fmt;
use std::path::{Path, PathBuf};

/// A place that credentials can come from. The order is the order of preference.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Source {
    /// The file that the configuration names. Nothing else is looked at then.
    Configured(PathBuf),
    /// A file that `$KUBECONFIG` names.
    Environment(PathBuf),
    /// kubeadm's ordinary file.
    Admin(PathBuf),
    /// kubeadm's file that needs no RBAC: only while the ordinary one is forbidden.
    SuperAdmin(PathBuf),
    /// K3s.
    K3s(PathBuf),
    /// RKE2.
    Rke2(PathBuf),
    /// The service account of the pod.
    InCluster(PathBuf),
    /// `~/.kube/config`.
    Home(PathBuf),
}

impl Source {
    /// The kubeconfig; for a service account, its token.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Configured(path)
            | Self::Environment(path)
            | Self::Admin(path)
            | Self::SuperAdmin(path)
            | Self::K3s(path)
            | Self::Rke2(path)
            | Self::InCluster(path)
            | Self::Home(path) => path,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InCluster(_) => f.write_str("service account"),
            Self::Configured(path)
            | Self::Environment(path)
            | Self::Admin(path)
            | Self::SuperAdmin(path)
            | Self::K3s(path)
            | Self::Rke2(path)
            | Self::Home(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What is found at a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum File {
    /// Nothing.
    Missing,
    /// What a container runtime makes of a hostPath that was missing.
    Directory,
    /// A file without content, as somebody who is about to write it leaves it.
    Empty,
    /// Something, but not credentials; says why.
    Unusable(String),
    /// Credentials.
    Ready,
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::Directory => f.write_str("is a directory"),
            Self::Empty => f.write_str("is empty"),
            Self::Unusable(why) => write!(f, "is unusable: {why}"),
            Self::Ready => f.write_str("is ready"),
        }
    }
}

/// Whether a server has refused the credentials.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// Not that we know.
    Open,
    /// 403: known, but not permitted.
    Forbidden,
}

/// What is known of one candidate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fact {
    /// Which.
    pub source: Source,
    /// What is there.
    pub file: File,
    /// What a server said of it.
    pub standing: Standing,
}

/// What to use, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Choice {
    /// These credentials.
    Use {
        /// Which.
        source: Source,
        /// Why not another one.
        reason: Reason,
    },
    /// None of the candidates can be used; each with what is wrong.
    Wait(Vec<(Source, File)>),
}

/// Why a candidate was chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// It is the first that can be used.
    First,
    /// The ordinary file is forbidden, as it is before kubeadm has bound its group to a role.
    AdminForbidden,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "first usable credentials",
            Self::AdminForbidden => "admin.conf is forbidden, using this until it is not",
        })
    }
}

/// The first candidate that is ready; kubeadm's second file in the place of its first while that one is forbidden.
#[must_use]
pub fn choose(facts: &[Fact]) -> Choice {
    let usable = |fact: &&Fact| fact.file == File::Ready;
    let ordinary = |fact: &&Fact| !matches!(fact.source, Source::SuperAdmin(_));
    let Some(first) = facts.iter().filter(ordinary).find(usable) else {
        return Choice::Wait(
            facts.iter().filter(ordinary).map(|fact| (fact.source.clone(), fact.file.clone())).collect(),
        );
    };
    let stand_in =
        facts.iter().filter(usable).find(|fact| !ordinary(fact) && fact.standing == Standing::Open);
    match (&first.source, first.standing, stand_in) {
        (Source::Admin(_), Standing::Forbidden, Some(fact)) => {
            Choice::Use { source: fact.source.clone(), reason: Reason::AdminForbidden }
        }
        _ => Choice::Use { source: first.source.clone(), reason: Reason::First },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admin() -> Source {
        Source::Admin("/etc/kubernetes/admin.conf".into())
    }

    fn super_admin() -> Source {
        Source::SuperAdmin("/etc/kubernetes/super-admin.conf".into())
    }

    fn k3s() -> Source {
        Source::K3s("/etc/rancher/k3s/k3s.yaml".into())
    }

    fn fact(source: Source, file: File, standing: Standing) -> Fact {
        Fact { source, file, standing }
    }

    fn first(source: Source) -> Choice {
        Choice::Use { source, reason: Reason::First }
    }

    #[test]
    fn the_first_ready_candidate_is_chosen_whatever_lies_before_it() {
        for file in [File::Missing, File::Directory, File::Empty, File::Unusable("not YAML".into())] {
            let facts = [fact(admin(), file, Standing::Open), fact(k3s(), File::Ready, Standing::Open)];
            assert_eq!(choose(&facts), first(k3s()));
        }
    }

    #[test]
    fn without_any_candidate_each_is_named_with_what_is_wrong() {
        let facts = [
            fact(admin(), File::Directory, Standing::Open),
            fact(super_admin(), File::Missing, Standing::Open),
            fact(k3s(), File::Empty, Standing::Open),
        ];
        assert_eq!(choose(&facts), Choice::Wait(vec![(admin(), File::Directory), (k3s(), File::Empty)]));
    }

    #[test]
    fn the_super_admin_file_stands_in_only_while_the_ordinary_one_is_forbidden() {
        let both = |standing| {
            [fact(admin(), File::Ready, standing), fact(super_admin(), File::Ready, Standing::Open)]
        };
        assert_eq!(choose(&both(Standing::Open)), first(admin()));
        let stand_in = Choice::Use { source: super_admin(), reason: Reason::AdminForbidden };
        assert_eq!(choose(&both(Standing::Forbidden)), stand_in);
    }

    #[test]
    fn a_forbidden_file_stays_the_choice_where_nothing_can_stand_in() {
        for (file, standing) in [(File::Missing, Standing::Open), (File::Ready, Standing::Forbidden)] {
            let facts =
                [fact(admin(), File::Ready, Standing::Forbidden), fact(super_admin(), file, standing)];
            assert_eq!(choose(&facts), first(admin()));
        }
    }

    #[test]
    fn the_super_admin_file_never_stands_in_for_another_distribution() {
        let facts = [
            fact(admin(), File::Missing, Standing::Open),
            fact(super_admin(), File::Ready, Standing::Open),
            fact(k3s(), File::Ready, Standing::Forbidden),
        ];
        assert_eq!(choose(&facts), first(k3s()));
    }
}

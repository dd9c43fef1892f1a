//! Owned tasks with names: what ends is noticed, and nothing outlives its owner.

use std::borrow::Cow;
use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;

use tokio::task::{Id, JoinError, JoinSet};

/// A set of tasks. Dropping it aborts them.
#[derive(Debug, Default)]
pub struct Tasks {
    set: JoinSet<Result<(), BoxedError>>,
    names: HashMap<Id, Cow<'static, str>>,
}

/// A task has ended.
#[derive(Debug)]
pub struct Exit {
    /// Which.
    pub task: Cow<'static, str>,
    /// How.
    pub why: Why,
}

/// How a task ended.
#[derive(Debug)]
pub enum Why {
    /// By itself.
    Finished,
    /// With an error.
    Failed(BoxedError),
    /// By a bug.
    Panicked(String),
    /// Because its owner wanted it.
    Aborted,
}

/// An error of any layer.
pub type BoxedError = Box<dyn Error + Send + Sync>;

/// What the future of a task may end with.
pub trait Ending {
    /// The same as a result.
    ///
    /// # Errors
    /// What the task ended with.
    fn ending(self) -> Result<(), BoxedError>;
}

impl Tasks {
    /// Starts a task.
    pub fn spawn<F>(&mut self, name: impl Into<Cow<'static, str>>, future: F)
    where
        F: Future<Output: Ending> + Send + 'static,
    {
        let task = self.set.spawn(async { future.await.ending() });
        self.names.insert(task.id(), name.into());
    }

    /// The next task that ends; `None` once there are none. May be dropped and called again.
    pub async fn next(&mut self) -> Option<Exit> {
        let joined = self.set.join_next_with_id().await?;
        let (id, why) = match joined {
            Ok((id, Ok(()))) => (id, Why::Finished),
            Ok((id, Err(error))) => (id, Why::Failed(error)),
            Err(error) => (error.id(), Why::from(error)),
        };
        Some(Exit { task: self.names.remove(&id).unwrap_or_default(), why })
    }

    /// The names of the tasks that have not been seen to end, sorted.
    #[must_use]
    pub fn running(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.names.values().map(AsRef::as_ref).collect();
        names.sort_unstable();
        names
    }

    /// Aborts every task and waits until none runs.
    pub async fn abort(mut self) {
        self.set.shutdown().await;
    }
}

impl Ending for () {
    fn ending(self) -> Result<(), BoxedError> {
        Ok(())
    }
}

impl Ending for Infallible {
    fn ending(self) -> Result<(), BoxedError> {
        match self {}
    }
}

impl<T: Ending, E: Into<BoxedError>> Ending for Result<T, E> {
    fn ending(self) -> Result<(), BoxedError> {
        self.map_err(Into::into)?.ending()
    }
}

impl From<JoinError> for Why {
    fn from(error: JoinError) -> Self {
        match error.try_into_panic() {
            Err(_) => Self::Aborted,
            Ok(payload) => {
                let text = payload.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
                Self::Panicked(text.unwrap_or("without a message").to_owned())
            }
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task, why } = self;
        match why {
            Why::Finished => write!(f, "task {task} ended by itself"),
            Why::Failed(_) => write!(f, "task {task} failed"),
            Why::Panicked(message) => write!(f, "task {task} panicked: {message}"),
            Why::Aborted => write!(f, "task {task} was aborted"),
        }
    }
}

impl Error for Exit {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.why {
            Why::Failed(error) => Some(error.as_ref()),
            Why::Finished | Why::Panicked(_) | Why::Aborted => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::io;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn each_end_is_reported_with_its_task_and_its_reason() {
        let mut tasks = Tasks::default();
        tasks.spawn("failing", async { Err::<(), _>(io::Error::other("no such interface")) });
        let exit = tasks.next().await.unwrap();
        assert_eq!(exit.to_string(), "task failing failed");
        assert_eq!(exit.source().unwrap().to_string(), "no such interface");

        tasks.spawn(format!("peer {}", 7), async {});
        assert_eq!(tasks.next().await.unwrap().to_string(), "task peer 7 ended by itself");

        tasks.spawn("buggy", async { assert_eq!(1, 2, "sums") });
        let exit = tasks.next().await.unwrap().to_string();
        assert!(exit.starts_with("task buggy panicked: assertion `left == right` failed: sums"), "{exit}");
        assert!(tasks.next().await.is_none());
    }

    #[tokio::test]
    async fn tasks_end_with_their_owner() {
        let (alive, ended) = oneshot::channel::<()>();
        let mut tasks = Tasks::default();
        tasks.spawn("waiting", async move {
            pending::<()>().await;
            drop(alive);
        });
        assert_eq!(tasks.running(), ["waiting"]);
        drop(tasks);
        assert!(ended.await.is_err());
    }

    #[tokio::test]
    async fn waiting_for_an_end_may_be_given_up_and_taken_up_again() {
        let (finish, finished) = oneshot::channel::<()>();
        let mut tasks = Tasks::default();
        tasks.spawn("patient", async move { drop(finished.await) });
        assert!(futures::FutureExt::now_or_never(tasks.next()).is_none());
        finish.send(()).unwrap();
        assert_eq!(tasks.next().await.unwrap().task, "patient");
    }
}

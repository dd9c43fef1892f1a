//! Make before break: routers get the time to prefer other nodes before VIPs are given up, at the end and while the node
//! is cordoned.

use std::time::Duration;

use tokio::sync::watch;
use tracing::info;

use crate::announce::bgp::Stage;
use crate::clock;
use crate::config::bgp;
use crate::drain::{Drain, Trigger};

/// Gives up VIPs in order.
#[derive(Debug)]
pub(in crate::app) struct Room {
    /// When the process has to end.
    pub(in crate::app) drain: Drain,
    /// The speaker's, where there is one.
    pub(in crate::app) stage: Option<watch::Sender<Stage>>,
    /// How; `None`: there is no other route to prefer, because only one node announces.
    pub(in crate::app) how: Option<watch::Receiver<bgp::Drain>>,
    /// Whether the node is cordoned, and others are there.
    pub(in crate::app) cordoned: watch::Receiver<bool>,
    /// VIPs have to be given up for as long as this says so.
    pub(in crate::app) relieved: watch::Sender<bool>,
    /// They have to be given up for good.
    pub(in crate::app) leaving: Trigger,
}

impl Room {
    /// Runs until VIPs have to be given up for good, and then for ever.
    pub(in crate::app) async fn run(mut self) {
        let drain = self.drain.clone();
        tokio::select! {
            biased;
            () = drain.started() => {}
            () = self.follow() => {}
        }
        // Who has given everything up has made room.
        if !*self.relieved.borrow() {
            self.prepare().await;
        }
        self.leaving.start();
        std::future::pending().await
    }

    /// For ever.
    async fn follow(&mut self) {
        loop {
            self.wait_for(true).await;
            info!("this node is cordoned: others announce in its place");
            let (mut cordon, mut how) = (self.cordoned.clone(), self.how.clone());
            tokio::select! {
                biased;
                () = is_drained(&mut cordon, how.as_mut(), false) => {}
                () = self.step_aside() => {}
            }
            info!("this node announces again as others do");
            self.relieved.send_replace(false);
            self.enter(Stage::Running);
        }
    }

    async fn step_aside(&self) {
        self.prepare().await;
        self.relieved.send_replace(true);
        std::future::pending().await
    }

    /// Routes stay, and are the last that anybody would take (RFC 8326).
    async fn prepare(&self) {
        let wait = self.how.as_ref().map_or(Duration::ZERO, |how| how.borrow().wait);
        if !wait.is_zero() {
            self.enter(Stage::Draining);
            clock::pause(wait).await;
        }
    }

    async fn wait_for(&mut self, wanted: bool) {
        is_drained(&mut self.cordoned, self.how.as_mut(), wanted).await;
    }

    fn enter(&self, stage: Stage) {
        if let Some(out) = &self.stage {
            crate::change::publish(out, stage);
        }
    }
}

/// Completes when the node is cordoned, and that matters; or when either is not so.
async fn is_drained(
    cordoned: &mut watch::Receiver<bool>,
    how: Option<&mut watch::Receiver<bgp::Drain>>,
    wanted: bool,
) {
    let Some(how) = how else { return std::future::pending().await };
    loop {
        let drained = *cordoned.borrow_and_update() && how.borrow_and_update().cordoned;
        if drained == wanted {
            return;
        }
        tokio::select! {
            Ok(()) = cordoned.changed() => {}
            Ok(()) = how.changed() => {}
            else => return std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;

    struct Bench {
        trigger: Trigger,
        cordoned: watch::Sender<bool>,
        how: watch::Sender<bgp::Drain>,
        stage: watch::Receiver<Stage>,
        relieved: watch::Receiver<bool>,
        leaving: Drain,
        _tasks: JoinSet<()>,
    }

    impl Bench {
        fn new(wait: u64) -> Self {
            let ((trigger, drain), (leave, leaving)) = (Drain::manual(), Drain::manual());
            let (stage_out, stage) = watch::channel(Running);
            let wait = Duration::from_secs(wait);
            let (how, told) = watch::channel(bgp::Drain { wait, cordoned: true, communication: None });
            let (cordoned, cordon) = watch::channel(false);
            let (relieved_out, relieved) = watch::channel(false);
            let room = Room {
                drain,
                stage: Some(stage_out),
                how: Some(told),
                cordoned: cordon,
                relieved: relieved_out,
                leaving: leave,
            };
            let mut tasks = JoinSet::new();
            tasks.spawn(room.run());
            Self { trigger, cordoned, how, stage, relieved, leaving, _tasks: tasks }
        }

        /// After so many milliseconds: the stage, whether others announce, and whether this is the end.
        async fn after(&self, millis: u64) -> (Stage, bool, bool) {
            clock::pause(Duration::from_millis(millis)).await;
            (*self.stage.borrow(), *self.relieved.borrow(), self.leaving.has_started())
        }
    }

    use Stage::{Draining, Running};

    #[tokio::test(start_paused = true)]
    async fn a_cordoned_node_makes_room_before_it_withdraws_and_comes_back() {
        let bench = Bench::new(2);
        assert_eq!(bench.after(5000).await, (Running, false, false));
        bench.cordoned.send_replace(true);
        assert_eq!(bench.after(1900).await, (Draining, false, false));
        assert_eq!(bench.after(200).await, (Draining, true, false));
        bench.cordoned.send_replace(false);
        assert_eq!(bench.after(1).await, (Running, false, false));
        bench.cordoned.send_replace(true);
        assert_eq!(bench.after(1000).await, (Draining, false, false));
        bench.cordoned.send_replace(false);
        assert_eq!(bench.after(5000).await, (Running, false, false));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_makes_room_too_unless_that_was_done() {
        let bench = Bench::new(2);
        bench.trigger.start();
        assert_eq!(bench.after(1900).await, (Draining, false, false));
        assert_eq!(bench.after(200).await, (Draining, false, true));
        let bench = Bench::new(2);
        bench.cordoned.send_replace(true);
        assert_eq!(bench.after(2100).await, (Draining, true, false));
        bench.trigger.start();
        assert_eq!(bench.after(1).await, (Draining, true, true));
    }

    #[tokio::test(start_paused = true)]
    async fn how_room_is_made_follows_the_configuration() {
        let bench = Bench::new(2);
        bench.how.send_modify(|how| how.cordoned = false);
        bench.cordoned.send_replace(true);
        assert_eq!(bench.after(3000).await, (Running, false, false));
        bench.how.send_modify(|how| (how.cordoned, how.wait) = (true, Duration::ZERO));
        assert_eq!(bench.after(1).await, (Running, true, false));
        bench.how.send_modify(|how| how.cordoned = false);
        assert_eq!(bench.after(1).await, (Running, false, false));
    }
}

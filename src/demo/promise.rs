//! What vipcast promises, as bounds on what is measured from outside.

use std::time::Duration;

/// `vip_leaseduration` of the demo.
pub const LEASE_DURATION: Duration = Duration::from_secs(5);
/// `vip_renewdeadline` of the demo.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(3);
/// `vip_retryperiod` of the demo.
pub const RETRY_PERIOD: Duration = Duration::from_secs(1);

/// What a loaded machine may add to a figure without the daemon being to blame.
pub const SLACK: Duration = Duration::from_millis(500);
/// A hand-over in order, as the client sees it. (The benchmark measures the median, which is far lower; one single
/// measurement on a loaded machine must not fail for the machine's sake.)
pub const GRACEFUL_GAP: Duration = Duration::from_millis(250);
/// An ordered shutdown.
pub const SHUTDOWN: Duration = Duration::from_millis(1000);
/// A holder that is gone without a word: its Lease runs out, and the next one takes it.
pub const CRASH_GAP: Duration = Duration::from_secs(6);
/// A frozen holder's address leaves its kernel without its help.
pub const FROZEN_ADDRESS: Duration = Duration::from_secs(3);
/// A holder that cannot renew lets go when its grant ends.
pub const OUTAGE_LET_GO: Duration = LEASE_DURATION;
/// The VIP is back after the API server answers again.
pub const OUTAGE_BACK: Duration = Duration::from_millis(1500);
/// Services that are created together are all answered for.
pub const SERVICES_ANSWERED: Duration = Duration::from_secs(1);
/// With a free Lease, the first holder answers.
pub const FIRST_HOLDER: Duration = Duration::from_secs(6);

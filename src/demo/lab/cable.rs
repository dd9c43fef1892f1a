//! Pulling cables: with loss of carrier, or only losing every frame.

use rtnetlink::LinkUnspec;

use super::error::Result;
use super::lan::{Host, Lan};

/// What the cable between a host and the switch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cable {
    /// Carries frames.
    Plugged,
    /// Is out: both ends lose the carrier and know it.
    Unplugged,
    /// Loses every frame, and neither end knows.
    Lossy,
}

impl Lan {
    /// Puts the cable of `host` into this condition.
    pub fn cable(&self, host: &Host, cable: Cable) -> Result<()> {
        let port = LinkUnspec::new_with_index(host.port);
        let link = match cable {
            Cable::Plugged => port.controller(self.bridge).up(),
            Cable::Unplugged => port.down(),
            // The port leaves the switch with its link up. (A port *state* does not last: the bridge sets it
            // anew at each late carrier event.)
            Cable::Lossy => port.nocontroller().up(),
        };
        self.switch.netlink(
            async move |handle| handle.link().change(link.build()).execute().await,
            "changing a cable",
        )
    }
}

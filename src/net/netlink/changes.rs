//! What the kernel tells without being asked: links that come and go, addresses that vanish.

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use ipnet::IpNet;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::link::LinkMessage;
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::sys::SocketAddr;
use tokio::sync::mpsc;

use super::{addresses, interfaces};

/// Something changed in the kernel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// A link came up, went down, appeared, or was deleted (then it is down).
    Link {
        /// The interface.
        index: u32,
        /// It is administratively up and has a carrier.
        up: bool,
    },
    /// An address is no longer there: deleted, expired, or lost with its link.
    AddressGone {
        /// The interface that had it.
        index: u32,
        /// The address.
        address: IpNet,
    },
    /// Changes were lost: read everything again.
    Overrun,
}

/// The changes since the connection was made, in order.
#[derive(Debug)]
pub struct Changes(mpsc::Receiver<Change>);

impl Changes {
    /// The next change; `None` when the driver has ended. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Option<Change> {
        self.0.recv().await
    }

    /// Passes over what was told so far, for whoever looks at the state itself afterwards.
    pub fn skip(&mut self) {
        while self.0.try_recv().is_ok() {}
    }
}

type Messages = UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>;

/// Drains the unbounded `messages` into a bounded channel. Where the reader is too slow, it gets one overrun
/// in place of what did not fit.
pub(super) fn translate(messages: Messages) -> (Changes, impl Future<Output = ()> + Send + 'static) {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    (Changes(receiver), drain(messages, sender))
}

async fn drain(mut messages: Messages, sender: mpsc::Sender<Change>) {
    let mut known = Links::default();
    let mut overrun = false;
    loop {
        tokio::select! {
            message = messages.next() => match message {
                // What is told now is read again anyway.
                Some(_) if overrun => {}
                Some((message, _)) => overrun = !forward(&mut known, message, &sender),
                None => return,
            },
            permit = sender.reserve(), if overrun => match permit {
                Ok(permit) => {
                    permit.send(Change::Overrun);
                    known = Links::default();
                    overrun = false;
                }
                // Nobody listens; the queue must not grow for that.
                Err(_) => while messages.next().await.is_some() {},
            },
        }
    }
}

/// Whether the message found its way to the reader.
fn forward(
    known: &mut Links,
    message: NetlinkMessage<RouteNetlinkMessage>,
    sender: &mpsc::Sender<Change>,
) -> bool {
    match change(message) {
        Some(Change::Overrun) => false,
        Some(change) if known.is_news(&change) => sender.try_send(change).is_ok(),
        Some(_) | None => true,
    }
}

fn change(message: NetlinkMessage<RouteNetlinkMessage>) -> Option<Change> {
    match message.payload {
        NetlinkPayload::Overrun(_) => Some(Change::Overrun),
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) if is_interface(&link) => {
            Some(Change::Link { index: link.header.index, up: interfaces::is_up(&link) })
        }
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link)) if is_interface(&link) => {
            Some(Change::Link { index: link.header.index, up: false })
        }
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelAddress(message)) => {
            let address = addresses::address(&message)?;
            Some(Change::AddressGone { index: message.header.index, address })
        }
        _ => None,
    }
}

/// A bridge reports its ports in the same words, in its own family: "deleted" then means that a port left the bridge.
fn is_interface(link: &LinkMessage) -> bool {
    link.header.interface_family == AddressFamily::Unspec
}

/// The last state that was told of each link: the kernel repeats itself with every statistic that changes.
#[derive(Default)]
struct Links(BTreeMap<u32, bool>);

impl Links {
    fn is_news(&mut self, change: &Change) -> bool {
        match *change {
            Change::Link { index, up } => self.0.insert(index, up) != Some(up),
            Change::AddressGone { .. } | Change::Overrun => true,
        }
    }
}

/// Links and addresses that may change between two looks of the reader.
const CAPACITY: usize = 256;

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::channel::mpsc::unbounded;
    use rtnetlink::packet_core::NetlinkHeader;
    use rtnetlink::packet_route::link::LinkFlags;

    use super::*;

    fn link(index: u32, flags: LinkFlags) -> (NetlinkMessage<RouteNetlinkMessage>, SocketAddr) {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.header.flags = flags;
        packet(NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)))
    }

    fn packet(
        payload: NetlinkPayload<RouteNetlinkMessage>,
    ) -> (NetlinkMessage<RouteNetlinkMessage>, SocketAddr) {
        (NetlinkMessage::new(NetlinkHeader::default(), payload), SocketAddr::new(0, 0))
    }

    fn up() -> LinkFlags {
        LinkFlags::Up | LinkFlags::LowerUp
    }

    /// Everything that can be read now, with the translation running.
    fn readable(changes: &mut Changes, translation: &mut (impl Future<Output = ()> + Unpin)) -> Vec<Change> {
        let mut read = Vec::new();
        loop {
            let _ = translation.now_or_never();
            match changes.0.try_recv() {
                Ok(change) => read.push(change),
                Err(_) => return read,
            }
        }
    }

    #[test]
    fn a_link_needs_a_carrier_to_be_up_and_is_reported_once_per_change() {
        let (sender, messages) = unbounded();
        let (mut changes, translation) = translate(messages);
        let mut translation = Box::pin(translation);
        for flags in [LinkFlags::Up, LinkFlags::Up, up(), up() | LinkFlags::Promisc, LinkFlags::LowerUp] {
            sender.unbounded_send(link(7, flags)).unwrap();
        }
        let expected = [false, true, false].map(|up| Change::Link { index: 7, up });
        assert_eq!(readable(&mut changes, &mut translation), expected);
    }

    #[test]
    fn an_overrun_of_the_kernel_is_passed_on_and_what_was_known_is_forgotten() {
        let (sender, messages) = unbounded();
        let (mut changes, translation) = translate(messages);
        let mut translation = Box::pin(translation);
        let up = Change::Link { index: 7, up: true };
        sender.unbounded_send(link(7, self::up())).unwrap();
        sender.unbounded_send(packet(NetlinkPayload::Overrun(Vec::new()))).unwrap();
        assert_eq!(readable(&mut changes, &mut translation), [up.clone(), Change::Overrun]);
        sender.unbounded_send(link(7, self::up())).unwrap();
        assert_eq!(readable(&mut changes, &mut translation), [up]);
    }

    #[test]
    fn a_slow_reader_gets_one_overrun_in_place_of_what_did_not_fit() {
        let (sender, messages) = unbounded();
        let (mut changes, translation) = translate(messages);
        let mut translation = Box::pin(translation);
        let fitting = u32::try_from(CAPACITY).unwrap();
        for index in 0..3 * fitting {
            sender.unbounded_send(link(index, up())).unwrap();
        }
        let told = (0..fitting).map(|index| Change::Link { index, up: true });
        let expected: Vec<Change> = told.chain([Change::Overrun]).collect();
        assert!(translation.as_mut().now_or_never().is_none());
        assert_eq!(readable(&mut changes, &mut translation), expected);
    }
}

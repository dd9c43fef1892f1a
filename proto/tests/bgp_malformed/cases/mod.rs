//! Every malformed message that RFC 4271 §6, 5492, 6286, 6608, 6793, 7313, 7606, 7607, 8092 and 9072 know, those just
//! within bounds beside them, and what each is answered with. The decoder and the session are held against them, the
//! daemon over TCP, and other speakers in a benchmark.

pub(crate) mod attributes;
mod headers;
mod multiprotocol;
mod opens;
mod refreshes;
pub(crate) mod session;
mod states;
mod updates;

pub(crate) use self::session::{Place, Session};

/// One message, and what it does to a session.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) rfc: &'static str,
    pub(crate) what: String,
    pub(crate) session: Session,
    /// Where it comes.
    pub(crate) state: State,
    sent: Sent,
    pub(crate) answer: Answer,
}

/// Of the speaker that is tested (RFC 4271 §8.2.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// It comes in the place of the OPEN.
    OpenSent,
    /// In the place of the first KEEPALIVE.
    OpenConfirm,
    Established,
}

/// What is sent: in hexadecimal, with letters for what is another one each time ([`Place`]).
#[derive(Clone, Debug)]
enum Sent {
    /// Just that.
    Octets(String),
    /// Behind a right header.
    Message(u8, String),
    /// Withdrawn Routes, Path Attributes and NLRI, with right lengths.
    Update([String; 3]),
}

/// What is right.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// A NOTIFICATION, and the connection ends.
    Notification(u8, u8, Data),
    /// It ends without a word (RFC 4271 §6.4).
    End,
    /// Nothing: the session goes on.
    Nothing(Route),
}

/// The Data field of a NOTIFICATION.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Data {
    /// In hexadecimal.
    Is(String),
    /// The message.
    Message,
    /// No RFC says: ours is empty.
    Unsaid,
}

/// What becomes of the route `R`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Route {
    /// It is there.
    Announced,
    /// It is there without an attribute (RFC 7606 §2, "attribute discard").
    Discarded,
    /// It is not there any more (RFC 7606 §2, "treat-as-withdraw").
    Withdrawn,
    /// None was spoken of.
    Unsaid,
}

/// All of them.
pub(crate) fn all() -> Vec<Case> {
    let groups = [
        headers::all(),
        opens::all(),
        states::all(),
        updates::all(),
        attributes::all(),
        multiprotocol::all(),
        refreshes::all(),
    ];
    groups.into_iter().flatten().collect()
}

impl Case {
    fn new(rfc: &'static str, what: impl Into<String>, sent: Sent, answer: Answer) -> Self {
        let (session, state) = (Session::External, State::Established);
        Self { rfc, what: what.into(), session, state, sent, answer }
    }

    fn of(self, session: Session) -> Self {
        Self { session, ..self }
    }

    fn at(self, state: State) -> Self {
        Self { state, ..self }
    }

    pub(crate) fn octets(&self, place: &Place) -> Vec<u8> {
        match &self.sent {
            Sent::Octets(text) => place.hex(text),
            Sent::Message(message_type, body) => message(*message_type, &place.hex(body)),
            Sent::Update([withdrawn, attributes, nlri]) => {
                let fields = [sized(&place.hex(withdrawn)), sized(&place.hex(attributes)), place.hex(nlri)];
                message(2, &fields.concat())
            }
        }
    }

    /// Whether the Data of a NOTIFICATION is right.
    pub(crate) fn has_right_data(&self, place: &Place, found: &[u8]) -> bool {
        match &self.answer {
            Answer::Notification(_, _, Data::Is(text)) => found == place.hex(text),
            Answer::Notification(_, _, Data::Message) => found == self.octets(place),
            Answer::Notification(_, _, Data::Unsaid) | Answer::End | Answer::Nothing(_) => true,
        }
    }
}

/// Behind a right header.
pub(crate) fn message(message_type: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(19 + body.len()).unwrap().to_be_bytes();
    [&[0xff; 16][..], &length, &[message_type], body].concat()
}

fn sized(field: &[u8]) -> Vec<u8> {
    [&u16::try_from(field.len()).unwrap().to_be_bytes()[..], field].concat()
}

fn update(withdrawn: &str, attributes: &str, nlri: &str) -> Sent {
    Sent::Update([withdrawn, attributes, nlri].map(str::to_owned))
}

/// A NOTIFICATION with these Data in hexadecimal.
fn tell(code: u8, subcode: u8, data: &str) -> Answer {
    Answer::Notification(code, subcode, Data::Is(data.to_owned()))
}

/// A NOTIFICATION of whose Data no RFC says anything.
fn say(code: u8, subcode: u8) -> Answer {
    Answer::Notification(code, subcode, Data::Unsaid)
}

const ANNOUNCED: Answer = Answer::Nothing(Route::Announced);
const DISCARDED: Answer = Answer::Nothing(Route::Discarded);
const WITHDRAWN: Answer = Answer::Nothing(Route::Withdrawn);
const NOTHING: Answer = Answer::Nothing(Route::Unsaid);

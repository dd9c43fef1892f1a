//! The other end of a session, which says what it should not.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use vipcast::clock;

use super::table::{self, Answer, Case, Place, State};

/// What the speaker did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Heard {
    /// And the connection ended.
    Notification { code: u8, subcode: u8, data: Vec<u8> },
    /// And the connection did not end.
    Warning { code: u8, subcode: u8 },
    /// It ended without a word.
    End,
    /// The session goes on, and the speaker's route was said again in it.
    Route,
    /// The OPEN was taken.
    Keepalive,
    /// Neither an end nor a sign of life.
    Silence,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Side {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What came on it.
enum Came {
    Message(Vec<u8>),
    End,
    Nothing,
}

impl Side {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Goes where the message of the case comes; in an established session, the speaker has said its route.
    pub(crate) fn reach(&mut self, case: &Case, place: &Place) -> Result<(), String> {
        self.expect(1)?;
        if case.state == State::OpenSent {
            return Ok(());
        }
        self.send(&case.session.open(place));
        self.expect(4)?;
        if case.state == State::OpenConfirm {
            return Ok(());
        }
        self.send(&table::message(4, &[]));
        let heard = self.sign_of_life(PATIENCE, has_route);
        if heard == Heard::Route { Ok(()) } else { Err(format!("{heard:?} in the place of the first route")) }
    }

    /// Sends the message of the case and waits for what it does.
    pub(crate) fn deliver(&mut self, case: &Case, place: &Place) -> Heard {
        let withdraws = matches!(case.answer, Answer::Nothing(table::Route::Withdrawn));
        if withdraws {
            self.send(&case.session.announcement(place));
        }
        self.send(&case.octets(place));
        match (case.state, &case.answer) {
            // A session that goes on says its routes again when it is asked.
            (State::Established, Answer::Nothing(_)) => {
                self.send(&table::message(5, &[0, 1, 0, 1]));
                self.sign_of_life(BRIEF, has_route)
            }
            // Whoever waits for the rest of a message would take the question for it.
            (State::Established, _) => self.sign_of_life(BRIEF, |_| false),
            (State::OpenSent | State::OpenConfirm, _) => self.sign_of_life(BRIEF, |message| message[18] == 4),
        }
    }

    /// Until a message that is one, or the end.
    fn sign_of_life(&mut self, patience: Duration, is_one: impl Fn(&[u8]) -> bool) -> Heard {
        let until = clock::now() + patience;
        loop {
            match self.next(until) {
                Came::Message(message) if message[18] == 3 => return self.last_word(&message),
                Came::Message(message) if is_one(&message) => {
                    return if message[18] == 4 { Heard::Keepalive } else { Heard::Route };
                }
                Came::Message(_) => {}
                Came::End => return Heard::End,
                Came::Nothing => return Heard::Silence,
            }
        }
    }

    fn last_word(&mut self, notification: &[u8]) -> Heard {
        let (code, subcode, data) = (notification[19], notification[20], notification[21..].to_vec());
        let until = clock::now() + BRIEF;
        loop {
            match self.next(until) {
                Came::Message(_) => {}
                Came::End => return Heard::Notification { code, subcode, data },
                Came::Nothing => return Heard::Warning { code, subcode },
            }
        }
    }

    fn expect(&mut self, message_type: u8) -> Result<(), String> {
        match self.next(clock::now() + PATIENCE) {
            Came::Message(message) if message[18] == message_type => Ok(()),
            Came::Message(message) => {
                Err(format!("{:02x?} in the place of a message {message_type}", &message[16..]))
            }
            Came::End => Err(format!("the end in the place of a message {message_type}")),
            Came::Nothing => Err(format!("no message {message_type}")),
        }
    }

    /// One that has ended meanwhile shows when it is read.
    fn send(&mut self, octets: &[u8]) {
        let _ = self.stream.write_all(octets);
    }

    fn next(&mut self, until: Instant) -> Came {
        loop {
            let length =
                self.buffer.get(16..18).map(|length| usize::from(u16::from_be_bytes([length[0], length[1]])));
            if let Some(length) = length.filter(|length| self.buffer.len() >= *length) {
                return Came::Message(self.buffer.drain(..length).collect());
            }
            let left = until.saturating_duration_since(clock::now());
            if left.is_zero() {
                return Came::Nothing;
            }
            self.stream.set_read_timeout(Some(left)).unwrap();
            let mut octets = [0; 4096];
            match self.stream.read(&mut octets) {
                Ok(0) => return Came::End,
                Ok(count) => self.buffer.extend_from_slice(&octets[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Came::Nothing,
                Err(_) => return Came::End,
            }
        }
    }
}

/// An UPDATE whose NLRI end with the speaker's route.
fn has_route(message: &[u8]) -> bool {
    message[18] == 2 && message.ends_with(&[32, 192, 0, 2, 1])
}

impl Heard {
    /// Whether that is right; of the route, others have to be asked.
    pub(crate) fn answers(&self, case: &Case, place: &Place) -> bool {
        match (&case.answer, self) {
            (Answer::Notification(code, subcode, _), Self::Notification { code: c, subcode: s, data }) => {
                (code, subcode) == (c, s) && case.has_right_data(place, data)
            }
            (Answer::End, heard) => *heard == Self::End,
            (Answer::Nothing(_), heard) if case.state == State::Established => *heard == Self::Route,
            (Answer::Nothing(_), heard) => *heard == Self::Keepalive,
            (Answer::Notification(..), _) => false,
        }
    }
}

/// For what must come; the first route waits for much.
const PATIENCE: Duration = Duration::from_secs(25);
/// For an answer, which is there or is not.
const BRIEF: Duration = Duration::from_secs(5);

//! The octets of nfnetlink: messages with attributes, written and read.

/// Messages of one transaction, which the kernel carries out as a whole or not at all.
#[derive(Debug)]
pub(crate) struct Batch {
    octets: Vec<u8>,
    sequence: u32,
    last: usize,
}

impl Batch {
    /// Begins one whose first message has this sequence number.
    pub(crate) fn begin(sequence: u32) -> Self {
        let mut batch = Self { octets: Vec::new(), sequence, last: 0 };
        batch.write(BATCH_BEGIN, 0, BATCH_HEADER, |_| ());
        batch
    }

    /// Adds a request about nf_tables.
    pub(crate) fn request(
        &mut self,
        kind: libc::c_int,
        flags: libc::c_int,
        fill: impl FnOnce(&mut Attributes<'_>),
    ) {
        self.last = self.octets.len();
        self.write(nf_tables(kind), flags, INET_HEADER, fill);
    }

    /// The octets, and the number of the last request, which alone is acknowledged: the kernel answers in order, and
    /// unasked where it refuses.
    pub(crate) fn end(mut self) -> (Vec<u8>, u32) {
        let last = self.sequence.wrapping_sub(1);
        let flags = self.octets.get_mut(self.last + FLAGS_AT..).and_then(|octets| octets.first_chunk_mut());
        if let Some(flags) = flags {
            *flags = (u16::from_ne_bytes(*flags) | libc::NLM_F_ACK as u16).to_ne_bytes();
        }
        self.write(BATCH_END, 0, BATCH_HEADER, |_| ());
        (self.octets, last)
    }

    fn write(
        &mut self,
        kind: u16,
        flags: libc::c_int,
        header: [u8; 4],
        fill: impl FnOnce(&mut Attributes<'_>),
    ) {
        append(&mut self.octets, kind, flags, self.sequence, header, fill);
        self.sequence = self.sequence.wrapping_add(1);
    }
}

/// A question about the tables of a family (`NFPROTO_…`) outside of any transaction.
pub(crate) fn question(
    family: libc::c_int,
    kind: libc::c_int,
    flags: libc::c_int,
    sequence: u32,
    fill: impl FnOnce(&mut Attributes<'_>),
) -> Vec<u8> {
    let mut octets = Vec::new();
    append(&mut octets, nf_tables(kind), flags, sequence, [family as u8, 0, 0, 0], fill);
    octets
}

fn append(
    octets: &mut Vec<u8>,
    kind: u16,
    flags: libc::c_int,
    sequence: u32,
    header: [u8; 4],
    fill: impl FnOnce(&mut Attributes<'_>),
) {
    let start = octets.len();
    octets.extend([0; 4]);
    octets.extend(kind.to_ne_bytes());
    octets.extend(((libc::NLM_F_REQUEST | flags) as u16).to_ne_bytes());
    octets.extend(sequence.to_ne_bytes());
    octets.extend([0; 4]);
    octets.extend(header);
    fill(&mut Attributes(octets));
    let length = u32::try_from(octets.len() - start).unwrap_or(u32::MAX);
    put(octets, start, &length.to_ne_bytes());
}

/// Where the attributes of a message, or those inside of an attribute, are written to.
#[derive(Debug)]
pub(crate) struct Attributes<'a>(&'a mut Vec<u8>);

impl Attributes<'_> {
    /// Adds octets.
    pub(crate) fn octets(&mut self, kind: libc::c_int, value: &[u8]) {
        self.attribute(kind as u16, |octets| octets.extend(value));
    }

    /// Adds a number, in network byte order as everything of nf_tables.
    pub(crate) fn number(&mut self, kind: libc::c_int, value: u32) {
        self.octets(kind, &value.to_be_bytes());
    }

    /// Adds a name.
    pub(crate) fn name(&mut self, kind: libc::c_int, value: &str) {
        self.attribute(kind as u16, |octets| {
            octets.extend(value.as_bytes());
            octets.push(0);
        });
    }

    /// Adds attributes in an attribute. Together they have to stay below 64 KiB.
    pub(crate) fn nest(&mut self, kind: libc::c_int, fill: impl FnOnce(&mut Attributes<'_>)) {
        self.attribute(kind as u16 | NESTED, |octets| fill(&mut Attributes(octets)));
    }

    fn attribute(&mut self, kind: u16, value: impl FnOnce(&mut Vec<u8>)) {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend(kind.to_ne_bytes());
        value(self.0);
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        put(self.0, start, &length.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

fn put(octets: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = octets.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

/// A message of the kernel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    /// Whom it answers; in a notification, who made the change.
    pub(crate) port: u32,
    pub(crate) body: &'a [u8],
}

impl<'a> Message<'a> {
    /// The messages in what was received. Reading ends where they are malformed.
    pub(crate) fn all(mut octets: &'a [u8]) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let length = usize::try_from(u32::from_ne_bytes(*octets.first_chunk()?)).ok()?;
            let message = octets.get(..length)?;
            octets = octets.get(length.next_multiple_of(4)..).unwrap_or_default();
            Self::one(message)
        })
    }

    fn one(message: &'a [u8]) -> Option<Self> {
        let (header, body) = message.split_first_chunk::<HEADER_LEN>()?;
        let [_, _, _, _, k0, k1, f0, f1, s0, s1, s2, s3, p0, p1, p2, p3] = *header;
        Some(Self {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            port: u32::from_ne_bytes([p0, p1, p2, p3]),
            body,
        })
    }

    /// What an acknowledgement says; `None` if it is none. The body begins with the negated error number.
    pub(crate) fn status(&self) -> Option<i32> {
        let is_status = [libc::NLMSG_ERROR, libc::NLMSG_DONE].iter().any(|kind| self.kind == *kind as u16);
        is_status.then(|| self.body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code)))
    }

    /// The attributes, if it is a message of nf_tables.
    pub(crate) fn attributes(&self) -> Option<&'a [u8]> {
        let ours = self.kind >> 8 == libc::NFNL_SUBSYS_NFTABLES as u16;
        self.body.get(INET_HEADER.len()..).filter(|_| ours)
    }
}

/// The attributes in what was read: kinds without flags, and values.
pub(crate) fn attributes(mut octets: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(*octets.first_chunk()?));
        let attribute = octets.get(..length)?;
        octets = octets.get(length.next_multiple_of(4)..).unwrap_or_default();
        let (header, value) = attribute.split_first_chunk::<4>()?;
        let [_, _, k0, k1] = *header;
        Some((u16::from_ne_bytes([k0, k1]) & !(NESTED | NET_BYTE_ORDER), value))
    })
}

/// The value of the first attribute of this kind.
pub(crate) fn find(octets: &[u8], kind: libc::c_int) -> Option<&[u8]> {
    attributes(octets).find(|(found, _)| i32::from(*found) == kind).map(|(_, value)| value)
}

/// A number as the kernel writes it.
pub(crate) fn number(octets: &[u8]) -> Option<u32> {
    octets.first_chunk().map(|octets| u32::from_be_bytes(*octets))
}

const fn nf_tables(kind: libc::c_int) -> u16 {
    (libc::NFNL_SUBSYS_NFTABLES << 8 | kind) as u16
}

const HEADER_LEN: usize = 16;
const FLAGS_AT: usize = 6;
const BATCH_BEGIN: u16 = libc::NFNL_MSG_BATCH_BEGIN as u16;
const BATCH_END: u16 = libc::NFNL_MSG_BATCH_END as u16;
/// Any family, version 0, and the subsystem in network byte order.
const BATCH_HEADER: [u8; 4] = [0, 0, 0, libc::NFNL_SUBSYS_NFTABLES as u8];
/// NFPROTO_INET, version 0.
const INET_HEADER: [u8; 4] = [1, 0, 0, 0];
const NESTED: u16 = 1 << 15;
const NET_BYTE_ORDER: u16 = 1 << 14;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut batch = Batch::begin(7);
        batch.request(libc::NFT_MSG_NEWTABLE, libc::NLM_F_CREATE, |a| {
            a.name(1, "vipcast");
            a.nest(2, |a| a.number(3, 0x0102_0304));
        });
        let (octets, last) = batch.end();
        assert_eq!((last, octets.len() % 4), (8, 0));

        let messages: Vec<_> = Message::all(&octets).collect();
        let kinds: Vec<_> = messages.iter().map(|message| (message.kind, message.sequence)).collect();
        assert_eq!(kinds, [(16, 7), (0x0a00, 8), (17, 9)]);
        let flags = libc::NLM_F_REQUEST | libc::NLM_F_ACK;
        assert_eq!(i32::from(messages[1].flags), flags | libc::NLM_F_CREATE);
        let body = messages[1].attributes().unwrap();
        assert_eq!(find(body, 1), Some(b"vipcast\0".as_slice()));
        assert_eq!(find(body, 2).and_then(|nest| find(nest, 3)).and_then(number), Some(0x0102_0304));
    }

    #[test]
    fn malformed_octets_end_the_reading() {
        let mut batch = Batch::begin(7);
        batch.request(libc::NFT_MSG_NEWTABLE, 0, |a| a.name(1, "vipcast"));
        let (octets, _) = batch.end();
        for end in 0..octets.len() {
            let read = Message::all(&octets[..end]).count();
            assert_eq!(read, usize::from(end >= 20) + usize::from(end >= 52), "{end}");
        }
        for length in 0..4_u16 {
            assert_eq!(attributes(&length.to_ne_bytes()).count(), 0);
            assert_eq!(Message::all(&[&u32::from(length).to_ne_bytes()[..], &[0; 20]].concat()).count(), 0);
        }
    }
}

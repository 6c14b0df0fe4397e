//! Reads along with a connection: which protocol it speaks, and where in HTTP/2's frames it is.

/// The connection preface of HTTP/2 (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Length (3), type, flags, stream (4): RFC 9113 section 4.1.
const FRAME_HEADER: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// Reads along, without keeping anything, to know what a client has begun.
#[derive(Clone, Debug)]
pub(crate) enum Watch {
    /// The first bytes: so many of the preface were seen.
    Begin(usize),
    /// HTTP/1.1, whose requests are told from one another by who answers them.
    Http1,
    Http2(Frames),
}

/// Where in HTTP/2's frames the connection is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frames {
    header: [u8; FRAME_HEADER],
    have: usize,
    left: usize,
    /// The first frame, which every client must send at once, was read.
    settled: bool,
    /// A block of headers was begun and not ended.
    in_headers: bool,
    /// How many blocks of headers were ended.
    blocks: u64,
}

impl Default for Watch {
    fn default() -> Self {
        Self::Begin(0)
    }
}

impl Watch {
    /// Reads along.
    pub(crate) fn pass(&mut self, mut bytes: &[u8]) {
        if let Self::Begin(seen) = self {
            let take = bytes.len().min(PREFACE.len() - *seen);
            if bytes[..take] != PREFACE[*seen..*seen + take] {
                *self = Self::Http1;
                return;
            }
            *seen += take;
            bytes = &bytes[take..];
            if *seen == PREFACE.len() {
                *self = Self::Http2(Frames::default());
            }
        }
        if let Self::Http2(frames) = self {
            frames.pass(bytes);
        }
    }
}

impl Frames {
    /// Tells whether the client has to send more: its settings, or the rest of a block of headers.
    pub(crate) fn owes(&self) -> bool {
        self.in_headers || !self.settled
    }

    /// Returns how many blocks of headers have ended.
    pub(crate) fn blocks(&self) -> u64 {
        self.blocks
    }

    fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.have < FRAME_HEADER {
                let take = bytes.len().min(FRAME_HEADER - self.have);
                self.header[self.have..self.have + take].copy_from_slice(&bytes[..take]);
                self.have += take;
                bytes = &bytes[take..];
                if self.have == FRAME_HEADER {
                    self.begin();
                }
            } else {
                let take = bytes.len().min(self.left);
                self.left -= take;
                bytes = &bytes[take..];
            }
            if self.have == FRAME_HEADER && self.left == 0 {
                self.end();
            }
        }
    }

    fn begin(&mut self) {
        let [a, b, c, kind, ..] = self.header;
        self.left = u32::from_be_bytes([0, a, b, c]) as usize;
        self.in_headers |= matches!(kind, HEADERS | CONTINUATION);
    }

    fn end(&mut self) {
        let [_, _, _, kind, flags, ..] = self.header;
        let ends = matches!(kind, HEADERS | CONTINUATION) && flags & END_HEADERS != 0;
        self.in_headers &= !ends;
        self.blocks += u64::from(ends);
        self.settled = true;
        self.have = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        frame.resize(FRAME_HEADER + usize::from(length), 0xff);
        frame
    }

    fn owes(bytes: &[u8], cut: usize) -> bool {
        let mut watch = Watch::default();
        bytes.chunks(cut).for_each(|chunk| watch.pass(chunk));
        match watch {
            Watch::Begin(_) => true,
            Watch::Http1 => false,
            Watch::Http2(frames) => frames.owes(),
        }
    }

    proptest! {
        #[test]
        fn what_is_owed_does_not_depend_on_how_the_bytes_are_cut(cut in 1usize..40) {
            let settings = [PREFACE, &frame(4, 0, 6)].concat();
            let open = [settings.clone(), frame(0, 0, 9), frame(HEADERS, 0, 30)].concat();
            let half = [settings.clone(), frame(HEADERS, END_HEADERS, 30)[..20].to_vec()].concat();
            let ended = [open.clone(), frame(CONTINUATION, END_HEADERS, 3)].concat();
            prop_assert!(owes(b"", cut));
            prop_assert!(owes(&PREFACE[..10], cut));
            prop_assert!(owes(PREFACE, cut));
            prop_assert!(!owes(&settings, cut));
            prop_assert!(owes(&open, cut));
            prop_assert!(owes(&half, cut));
            prop_assert!(!owes(&ended, cut));
            prop_assert!(!owes(b"PUT / HTTP/1.1\r\n", cut));
        }
    }
}

//! What a child prints: the end of it kept, all of it read so that the child never blocks.

use std::io::{Read, Write};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, thread};

use super::secrets::Secrets;

/// Longest line shown in one piece, in bytes.
const LINE_BYTES_MAX: usize = 4096;

/// Where words of children are shown to people.
pub type Screen = Arc<Mutex<dyn Write + Send>>;

/// One stream being read.
pub(super) struct Capture {
    tail: Arc<Mutex<Tail>>,
    end: Receiver<()>,
}

/// The last bytes of a stream.
struct Tail {
    bytes: Vec<u8>,
    limit: usize,
    cut: bool,
}

/// What was kept of a stream.
#[derive(Debug, Default)]
pub(super) struct Captured {
    /// The last bytes.
    pub(super) bytes: Vec<u8>,
    /// Whether there were more before them.
    pub(super) cut: bool,
}

impl Tail {
    /// Lets the buffer grow to twice the limit, so that cutting costs a constant per byte.
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > self.limit.saturating_mul(2) {
            self.trim();
        }
    }

    fn trim(&mut self) {
        let surplus = self.bytes.len().saturating_sub(self.limit);
        self.bytes.drain(..surplus);
        self.cut |= surplus > 0;
    }
}

impl Capture {
    /// Reads `pipe` on a thread of its own, keeps the last `limit` bytes, shows lines on `mirror`.
    pub(super) fn start(
        mut pipe: impl Read + Send + 'static,
        limit: usize,
        mut mirror: Option<Mirror>,
    ) -> io::Result<Self> {
        let tail = Arc::new(Mutex::new(Tail {
            bytes: Vec::new(),
            limit,
            cut: false,
        }));
        let (over, end) = mpsc::channel();
        let shared = Arc::clone(&tail);
        let read = move || {
            let mut buffer = [0; 8192];
            loop {
                let chunk = match pipe.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(length) => buffer.get(..length).unwrap_or_default(),
                    Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                    // A pipe that cannot be read says nothing more.
                    Err(_) => break,
                };
                lock(&shared).push(chunk);
                if let Some(mirror) = &mut mirror {
                    mirror.show(chunk);
                }
            }
            if let Some(mirror) = &mut mirror {
                mirror.finish();
            }
            // Nobody listens any more when the stream outlived its child.
            over.send(()).ok();
        };
        thread::Builder::new()
            .name("capture".to_owned())
            .spawn(read)?;
        Ok(Self { tail, end })
    }

    /// What came until the stream's end, or within `patience`: a process that left the group may
    /// hold the stream open for ever.
    pub(super) fn finish(self, patience: Duration) -> Captured {
        self.end.recv_timeout(patience).ok();
        let mut tail = lock(&self.tail);
        tail.trim();
        Captured {
            bytes: std::mem::take(&mut tail.bytes),
            cut: tail.cut,
        }
    }
}

/// Shows the lines of a stream with a prefix, control characters made harmless.
pub(super) struct Mirror {
    screen: Screen,
    prefix: String,
    line: Vec<u8>,
    secrets: Secrets,
}

impl Mirror {
    pub(super) fn new(screen: Screen, prefix: String) -> Self {
        Self {
            screen,
            prefix,
            line: Vec::new(),
            secrets: Secrets::default(),
        }
    }

    /// The same, which shows no value of these.
    pub(super) fn without(self, secrets: Secrets) -> Self {
        Self { secrets, ..self }
    }

    fn show(&mut self, chunk: &[u8]) {
        for byte in chunk {
            if *byte == b'\n' || self.line.len() >= LINE_BYTES_MAX {
                self.finish();
            }
            if *byte != b'\n' {
                self.line.push(*byte);
            }
        }
    }

    fn finish(&mut self) {
        if self.line.is_empty() {
            return;
        }
        let line = self.secrets.mask(std::mem::take(&mut self.line));
        let mut words = String::with_capacity(line.len() + self.prefix.len());
        words.push_str(&self.prefix);
        for c in String::from_utf8_lossy(&line)
            .trim_end_matches('\r')
            .chars()
        {
            if c.is_control() && c != '\t' {
                words.extend(c.escape_default());
            } else {
                words.push(c);
            }
        }
        words.push('\n');
        // A screen that went away takes nothing from the work.
        lock(&self.screen).write_all(words.as_bytes()).ok();
    }
}

fn lock<T: ?Sized>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{Capture, Mirror, Screen, lock};
    use proptest::prelude::*;
    use std::io::Cursor;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    proptest! {
        #[test]
        fn exactly_the_last_bytes_are_kept(bytes: Vec<u8>, limit in 0usize..64) {
            let capture = Capture::start(Cursor::new(bytes.clone()), limit, None).expect("a thread");
            let kept = capture.finish(Duration::MAX);
            let surplus = bytes.len().saturating_sub(limit);
            prop_assert_eq!(&kept.bytes[..], &bytes[surplus..]);
            prop_assert_eq!(kept.cut, surplus > 0);
        }
    }

    #[test]
    fn lines_are_shown_with_their_prefix_and_without_control_characters() {
        let shown = Arc::new(Mutex::new(Vec::new()));
        let screen: Screen = shown.clone();
        let mirror = Mirror::new(screen, "[dc] ".to_owned());
        let text = b"one\r\n\n\x1b[31mred\xff\nlast".to_vec();
        let capture = Capture::start(Cursor::new(text), 4, Some(mirror)).expect("a thread");
        assert_eq!(capture.finish(Duration::MAX).bytes, b"last");
        let shown = String::from_utf8(lock(&shown).clone()).expect("UTF-8");
        assert_eq!(shown, "[dc] one\n[dc] \\u{1b}[31mred\u{fffd}\n[dc] last\n");
    }
}

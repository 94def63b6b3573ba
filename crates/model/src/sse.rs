//! Reads server-sent events, or lines, from bytes as they come: any chunking, LF or CRLF, characters split between chunks;
//! bounded.

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// Its name; empty where it has none.
    pub name: String,
    /// Its data lines, joined by newlines.
    pub data: String,
}

/// What a stream is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// Server-sent events.
    #[default]
    Events,
    /// Lines, each the data of an event without a name.
    Lines,
}

/// A stream that is no longer read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// More bytes than a reply may have.
    #[error("reply is larger than {MOST} bytes")]
    TooLarge,
    /// A line that is not UTF-8.
    #[error("reply is not UTF-8")]
    NotUtf8,
}

/// Bytes of a whole stream.
pub const MOST: usize = 16 << 20;

/// Reads events.
#[derive(Debug, Default)]
pub struct Decoder {
    framing: Framing,
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    total: usize,
}

impl Decoder {
    /// Makes one that has read nothing.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        Self { framing, ..Self::default() }
    }

    /// Takes the next bytes and returns the events that ended with them.
    ///
    /// # Errors
    ///
    /// [`SseError`]
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, SseError> {
        self.total = self.total.saturating_add(bytes.len());
        if self.total > MOST {
            return Err(SseError::TooLarge);
        }
        let mut events = Vec::new();
        for byte in bytes {
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                let line = std::str::from_utf8(&line).map_err(|_| SseError::NotUtf8)?;
                let line = line.strip_suffix('\r').unwrap_or(line);
                events.extend(match self.framing {
                    Framing::Events => self.take(line),
                    Framing::Lines => self::line(line),
                });
            } else {
                self.line.push(*byte);
            }
        }
        Ok(events)
    }

    fn take(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.has_data = true;
            }
            _comment_or_unknown => {}
        }
        None
    }
}

fn line(line: &str) -> Option<Event> {
    let data = line.trim();
    (!data.is_empty()).then(|| Event { name: String::new(), data: data.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&[u8]]) -> Vec<(String, String)> {
        let mut decoder = Decoder::default();
        let events = chunks.iter().flat_map(|chunk| decoder.push(chunk).unwrap());
        events.map(|event| (event.name, event.data)).collect()
    }

    #[test]
    fn any_chunking_gives_the_same_events() {
        let text = ": hi\r\nevent: a\r\ndata: {\"é\":1}\r\n\r\ndata:x\ndata: y\n\nevent: cut\ndata: z\n".as_bytes();
        let whole = read(&[text]);
        assert_eq!(whole, [("a".into(), "{\"é\":1}".into()), (String::new(), "x\ny".into())]);
        for cut in 0..text.len() {
            assert_eq!(read(&[&text[..cut], &text[cut..]]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_line_is_one_only_when_it_has_ended() {
        let text = "{\"é\":1}\r\n\n data: x\n{\"cut\"".as_bytes();
        for cut in 0..text.len() {
            let mut decoder = Decoder::new(Framing::Lines);
            let events = [&text[..cut], &text[cut..]].into_iter().flat_map(|chunk| decoder.push(chunk).unwrap());
            let lines: Vec<String> = events.map(|event| event.data).collect();
            assert_eq!(lines, ["{\"é\":1}", "data: x"], "cut at {cut}");
        }
    }

    #[test]
    fn an_endless_stream_is_given_up() {
        let mut decoder = Decoder::default();
        let chunk = vec![b'x'; 1 << 20];
        assert!((0..20).map(|_| decoder.push(&chunk)).any(|read| read == Err(SseError::TooLarge)));
    }
}

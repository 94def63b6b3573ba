//! Reads server-sent events from bytes as they come: any chunking, LF or CRLF, characters split between chunks; bounded.

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// Its name; empty where it has none.
    pub name: String,
    /// Its data lines, joined by newlines.
    pub data: String,
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
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    total: usize,
}

impl Decoder {
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
                events.extend(self.take(line.strip_suffix('\r').unwrap_or(line)));
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
    fn an_endless_stream_is_given_up() {
        let mut decoder = Decoder::default();
        let chunk = vec![b'x'; 1 << 20];
        assert!((0..20).map(|_| decoder.push(&chunk)).any(|read| read == Err(SseError::TooLarge)));
    }
}

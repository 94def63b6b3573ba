//! A log without secrets: whatever somebody logs, known ones are taken out before it is written.

use std::io::{self, Write};

use outlive_core::redact::Secrets;
use tracing_subscriber::fmt::MakeWriter;

/// Takes secrets out of what it hands on.
pub struct Clean<W> {
    inner: W,
    secrets: Secrets,
}

impl<W> Clean<W> {
    /// Hands on to this.
    pub fn new(inner: W, secrets: &Secrets) -> Self {
        Self { inner, secrets: secrets.clone() }
    }
}

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Clean<W> {
    type Writer = Clean<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Clean { inner: self.inner.make_writer(), secrets: self.secrets.clone() }
    }
}

impl<W: Write> Write for Clean<W> {
    /// Takes whole lines: each call is one.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.inner.write_all(&self.secrets.now().bytes(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use outlive_core::secret::Secret;

    use super::*;

    #[test]
    fn whatever_is_logged_is_written_without_secrets() {
        let (secrets, kept) = (Secrets::default(), Kept::default());
        secrets.learn([("API_KEY".to_owned(), Secret::new("key-\"19\"-x"))]);
        let into = kept.clone();
        let writer = Clean::new(move || into.clone(), &secrets);
        let subscriber = tracing_subscriber::fmt().json().without_time().with_writer(writer).finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(header = "Bearer key-\"19\"-x", "it was key-\"19\"-x");
        });
        let said = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!((said.matches("[redacted:API_KEY]").count(), said.contains("19")), (2, false), "{said}");
    }

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}

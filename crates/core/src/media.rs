//! Files that people attach to messages: which types there are, what their bytes must look like, and how they are named to
//! people. The bytes themselves lie beside the journal, under their hash; a request gets them right before it is sent.

mod flaw;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::limits::{IMAGE_BYTES, PDF_BYTES, TEXT_BYTES};

/// A type of file that models are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    /// `image/png`
    Png,
    /// `image/jpeg`
    Jpeg,
    /// `image/gif`
    Gif,
    /// `image/webp`
    Webp,
    /// `application/pdf`
    Pdf,
    /// `text/plain`
    Plain,
    /// `text/markdown`
    Markdown,
    /// `text/csv`
    Csv,
    /// `application/json`
    Json,
}

/// What is done with a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// It is looked at.
    Image,
    /// It is read as a document with pages.
    Pdf,
    /// It is read as text.
    Text,
}

impl MediaType {
    /// All of them.
    pub const ALL: [Self; 9] =
        [Self::Png, Self::Jpeg, Self::Gif, Self::Webp, Self::Pdf, Self::Plain, Self::Markdown, Self::Csv, Self::Json];

    /// Reads a type. Parameters, as of a charset, are not looked at.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let essence = text.split(';').next().unwrap_or_default().trim();
        Self::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(essence))
    }

    /// Returns its name, as in `Content-Type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Pdf => "application/pdf",
            Self::Plain => "text/plain",
            Self::Markdown => "text/markdown",
            Self::Csv => "text/csv",
            Self::Json => "application/json",
        }
    }

    /// Returns what is done with it.
    #[must_use]
    pub fn family(self) -> Family {
        match self {
            Self::Png | Self::Jpeg | Self::Gif | Self::Webp => Family::Image,
            Self::Pdf => Family::Pdf,
            Self::Plain | Self::Markdown | Self::Csv | Self::Json => Family::Text,
        }
    }

    /// Returns how many bytes a file of it may have.
    #[must_use]
    pub fn most_bytes(self) -> usize {
        match self.family() {
            Family::Image => IMAGE_BYTES,
            Family::Pdf => PDF_BYTES,
            Family::Text => TEXT_BYTES,
        }
    }

    /// Says whether these bytes are of this type, by how they begin; text must be UTF-8, JSON must be read.
    #[must_use]
    pub fn fits(self, bytes: &[u8]) -> bool {
        match self {
            Self::Json => serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok(),
            Self::Plain | Self::Markdown | Self::Csv => is_text(bytes),
            Self::Png | Self::Jpeg | Self::Gif | Self::Webp | Self::Pdf => magic(bytes) == Some(self),
        }
    }

    /// Returns why providers would refuse bytes of this type, and the way out: for a person, without the file's name.
    #[must_use]
    pub fn flaw(self, bytes: &[u8]) -> Option<String> {
        flaw::of(self, bytes)
    }

    /// Guesses the type of a file: by how its bytes begin, and for text by the end of its name.
    #[must_use]
    pub fn guess(bytes: &[u8], name: &str) -> Option<Self> {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
        let by_name = || match ending.as_str() {
            "md" | "markdown" => Self::Markdown,
            "csv" => Self::Csv,
            "json" if Self::Json.fits(bytes) => Self::Json,
            _any_other => Self::Plain,
        };
        magic(bytes).or_else(|| is_text(bytes).then(by_name))
    }
}

fn magic(bytes: &[u8]) -> Option<MediaType> {
    let is_webp = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    let begins: [(bool, MediaType); 6] = [
        (bytes.starts_with(b"\x89PNG\r\n\x1a\n"), MediaType::Png),
        (bytes.starts_with(b"\xff\xd8\xff"), MediaType::Jpeg),
        (bytes.starts_with(b"GIF87a"), MediaType::Gif),
        (bytes.starts_with(b"GIF89a"), MediaType::Gif),
        (is_webp, MediaType::Webp),
        (bytes.starts_with(b"%PDF-"), MediaType::Pdf),
    ];
    begins.into_iter().find(|(is, _)| *is).map(|(_, kind)| kind)
}

fn is_text(bytes: &[u8]) -> bool {
    !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok()
}

/// A file that a person attached: what the journal holds of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The SHA-256 of its bytes, under which they are kept.
    pub hash: Digest,
    /// Its type.
    pub media_type: String,
    /// Its name, in the words of whoever attached it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many bytes it has.
    pub bytes: u64,
}

impl Attachment {
    /// Returns its type; `None` for one that this version does not know.
    #[must_use]
    pub fn kind(&self) -> Option<MediaType> {
        MediaType::parse(&self.media_type)
    }

    /// Returns it in words, as in `image photo.png, 12 kB`.
    #[must_use]
    pub fn described(&self) -> String {
        let what = match self.kind().map(MediaType::family) {
            Some(Family::Image) => "image",
            Some(Family::Pdf) => "PDF",
            Some(Family::Text) | None => "file",
        };
        let name = self.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        format!("{what}{name}, {}", size(self.bytes))
    }

    /// Returns it as a transcript shows it: `[image photo.png, 12 kB]`.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("[{}]", self.described())
    }
}

/// A size for people, in powers of ten.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", (bytes + 500) / 1_000),
        _more => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

/// What was said with its attachments, as one line or more for people: those first, as they stand in the request.
#[must_use]
pub fn with_attachments(content: &str, attachments: &[Attachment]) -> String {
    let shown = attachments.iter().map(Attachment::shown);
    shown.chain((!content.is_empty()).then(|| content.to_owned())).collect::<Vec<_>>().join("\n")
}

/// What became of an attachment's bytes on the way into a request.
#[derive(Clone, PartialEq, Eq)]
pub enum File {
    /// They are here.
    Whole(Arc<[u8]>),
    /// Newer ones filled the request.
    LeftOut,
    /// The model's provider refused a request, and this may be why.
    Refused,
}

/// The bytes of a request's attachments, by hash. What is not among them is not kept any more.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<Digest, File>);

impl Files {
    /// Adds a file.
    pub fn add(&mut self, hash: Digest, file: File) {
        self.0.insert(hash, file);
    }

    /// Returns a file.
    #[must_use]
    pub fn get(&self, hash: &Digest) -> Option<&File> {
        self.0.get(hash)
    }
}

impl std::fmt::Debug for Files {
    /// Never the bytes: they are a person's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Files({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_of_the_type_that_they_begin_with() {
        for (bytes, name, kind) in [
            (b"\x89PNG\r\n\x1a\nrest".as_slice(), "a.jpg", Some(MediaType::Png)),
            (b"\xff\xd8\xff\xe0", "a", Some(MediaType::Jpeg)),
            (b"GIF89a...", "a", Some(MediaType::Gif)),
            (b"RIFF\0\0\0\0WEBPVP8 ", "a", Some(MediaType::Webp)),
            (b"%PDF-1.7\n", "a.txt", Some(MediaType::Pdf)),
            (b"# Title", "a.MD", Some(MediaType::Markdown)),
            (b"a,b\n1,2\n", "t.csv", Some(MediaType::Csv)),
            (b"{\"a\":1}", "a.json", Some(MediaType::Json)),
            (b"{\"a\":", "a.json", Some(MediaType::Plain)),
            ("wörds".as_bytes(), "README", Some(MediaType::Plain)),
            (b"\x7fELF\x02\0", "a.txt", None),
            (b"\xff\xfe", "a.txt", None),
        ] {
            assert_eq!(MediaType::guess(bytes, name), kind, "{name}");
            for one in MediaType::ALL.into_iter().filter(|one| one.family() != Family::Text) {
                assert_eq!(one.fits(bytes), kind == Some(one), "{name} as {}", one.as_str());
            }
        }
        assert!(!MediaType::Json.fits(b"{") && !MediaType::Plain.fits(b"a\0"));
        for kind in MediaType::ALL {
            assert_eq!(MediaType::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(MediaType::parse("Text/Plain; charset=utf-8"), Some(MediaType::Plain));
        assert_eq!(MediaType::parse("image/svg+xml"), None);
    }

    #[test]
    fn an_attachment_is_shown_with_its_name_and_size() {
        let shown = |media_type: &str, name: Option<&str>, bytes| {
            let (media_type, name) = (media_type.to_owned(), name.map(str::to_owned));
            Attachment { hash: Digest::of(b""), media_type, name, bytes }.shown()
        };
        assert_eq!(shown("image/png", Some("photo.png"), 12_345), "[image photo.png, 12 kB]");
        assert_eq!(shown("application/pdf", Some("a.pdf"), 1_260_000), "[PDF a.pdf, 1.2 MB]");
        assert_eq!(shown("text/csv", None, 812), "[file, 812 bytes]");
    }
}

//! Finds what providers refuse in a file that is of its type otherwise: an image without a whole header or of a size that
//! nobody takes, a PDF that is encrypted. Only headers and trailers are read: a file may still be refused for the rest.

use crate::limits::IMAGE_SIDE;

use super::MediaType;

/// Returns what is wrong with a file that is of this type, and the way out.
pub(super) fn of(kind: MediaType, bytes: &[u8]) -> Option<String> {
    let size = match kind {
        MediaType::Png => png(bytes),
        MediaType::Jpeg => jpeg(bytes),
        MediaType::Gif => gif(bytes),
        MediaType::Webp => webp(bytes),
        MediaType::Pdf => {
            let why = "it is encrypted, and no model can read it: save it without a password";
            return is_encrypted(bytes).then(|| why.to_owned());
        }
        MediaType::Plain | MediaType::Markdown | MediaType::Csv | MediaType::Json => return None,
    };
    match size {
        None => Some("the image is broken, its header is not whole: save it anew".to_owned()),
        Some((0, _) | (_, 0)) => Some("the image is broken, it is of no size: save it anew".to_owned()),
        Some((width, height)) if width.max(height) > IMAGE_SIDE => {
            let most = format!("{IMAGE_SIDE} × {IMAGE_SIDE}");
            Some(format!("the image has {width} × {height} pixels, of {most} that models take: make it smaller"))
        }
        Some(_) => None,
    }
}

/// Width and height.
type Size = (u32, u32);

fn big16(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?).into())
}

fn big32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn little16(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?).into())
}

fn little24(bytes: &[u8], at: usize) -> Option<u32> {
    Some(little16(bytes, at)? | u32::from(*bytes.get(at + 2)?) << 16)
}

/// The first chunk: its length, its name, 13 bytes, its checksum.
fn png(bytes: &[u8]) -> Option<Size> {
    let is_header = bytes.get(8..16)? == b"\0\0\0\x0dIHDR" && bytes.len() >= 33;
    Some((big32(bytes, 16)?, big32(bytes, 20)?)).filter(|_| is_header)
}

/// Segments one after another, until one that begins a frame.
fn jpeg(bytes: &[u8]) -> Option<Size> {
    let mut at = 2;
    loop {
        if *bytes.get(at)? != 0xff {
            return None;
        }
        match *bytes.get(at + 1)? {
            // Filling.
            0xff => at += 1,
            // Without a length.
            0x01 | 0xd0..=0xd8 => at += 2,
            0xc4 | 0xc8 | 0xcc => at = after(bytes, at)?,
            0xc0..=0xcf => {
                after(bytes, at).filter(|end| *end <= bytes.len())?;
                return Some((big16(bytes, at + 7)?, big16(bytes, at + 5)?));
            }
            // The picture itself, or the end, before any frame.
            0xd9 | 0xda => return None,
            _another => at = after(bytes, at)?,
        }
    }
}

/// Where a segment ends.
fn after(bytes: &[u8], at: usize) -> Option<usize> {
    let length = big16(bytes, at + 2).filter(|length| *length >= 2)?;
    Some(at + 2 + usize::try_from(length).ok()?)
}

fn gif(bytes: &[u8]) -> Option<Size> {
    Some((little16(bytes, 6)?, little16(bytes, 8)?)).filter(|_| bytes.len() >= 13)
}

/// The first chunk: lossy, lossless, or extended.
fn webp(bytes: &[u8]) -> Option<Size> {
    const FOURTEEN_BITS: u32 = 0x3fff;
    match bytes.get(12..16)? {
        b"VP8 " if bytes.get(23..26)? == b"\x9d\x01\x2a" => {
            Some((little16(bytes, 26)? & FOURTEEN_BITS, little16(bytes, 28)? & FOURTEEN_BITS))
        }
        b"VP8L" if *bytes.get(20)? == 0x2f => {
            let bits = little16(bytes, 21)? | little16(bytes, 23)? << 16;
            Some(((bits & FOURTEEN_BITS) + 1, (bits >> 14 & FOURTEEN_BITS) + 1))
        }
        b"VP8X" => Some((little24(bytes, 24)? + 1, little24(bytes, 27)? + 1)),
        _another => None,
    }
}

/// Says whether a PDF is encrypted: its last trailer, or what stands for one, has the key for it. What has no trailer that
/// can be found is not: readers mend such files.
fn is_encrypted(bytes: &[u8]) -> bool {
    const KEY: &[u8] = b"/Encrypt";
    let Some(trailer) = trailer(bytes) else { return false };
    let is_whole = |at: usize| !trailer.get(at + KEY.len()).is_some_and(u8::is_ascii_alphanumeric);
    trailer.windows(KEY.len()).enumerate().any(|(at, window)| window == KEY && is_whole(at))
}

/// The bytes that hold the last trailer: `startxref` at the end says where the table before it begins, or the stream whose
/// dictionary is the trailer.
fn trailer(bytes: &[u8]) -> Option<&[u8]> {
    let start = rfind(bytes, b"startxref")?;
    let digits = bytes.get(start + 9..)?.trim_ascii_start();
    let digits = digits.split(|byte| !byte.is_ascii_digit()).next()?;
    let at: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let section = bytes.get(at..start).or_else(|| bytes.get(at..)).filter(|section| !section.is_empty());
    match section {
        Some(section) if section.trim_ascii_start().starts_with(b"xref") => {
            let from = find(section, b"trailer")?;
            Some(until(&section[from..], b"startxref"))
        }
        Some(section) => Some(until(section, b"stream")),
        None => bytes.get(rfind(&bytes[..start], b"trailer")?..start),
    }
}

fn until<'a>(bytes: &'a [u8], word: &[u8]) -> &'a [u8] {
    &bytes[..find(bytes, word).unwrap_or(bytes.len())]
}

fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|window| window == word)
}

fn rfind(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).rposition(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_png(width: u32, height: u32) -> Vec<u8> {
        let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
        [b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".as_slice(), &size, b"\x08\x02\0\0\0crc."].concat()
    }

    fn of_jpeg(width: u16, height: u16) -> Vec<u8> {
        let size = [height.to_be_bytes(), width.to_be_bytes()].concat();
        // An application's segment, a table that looks like a frame's, filling, then the frame.
        [b"\xff\xd8\xff\xe0\0\x04JF\xff\xc4\0\x03x\xff\xff\xc2\0\x0b\x08".as_slice(), &size, b"\x01\x01\x11\0"].concat()
    }

    fn of_gif(width: u16, height: u16) -> Vec<u8> {
        [b"GIF89a".as_slice(), &width.to_le_bytes(), &height.to_le_bytes(), b"\0\0\0"].concat()
    }

    fn of_webp(chunk: &[u8; 4], head: &[u8]) -> Vec<u8> {
        [b"RIFF\0\0\0\0WEBP".as_slice(), chunk, b"\0\0\0\0", head].concat()
    }

    #[test]
    fn an_image_must_have_a_whole_header_and_a_size_that_models_take() {
        let lossy = of_webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a\x40\x1f\x01\0");
        let lossless = of_webp(b"VP8L", b"\x2f\x3f\xdf\x3f\0");
        let extended = of_webp(b"VP8X", b"\0\0\0\0\x3f\x1f\0\0\0\0");
        for (kind, bytes) in [
            (MediaType::Png, of_png(8_000, 1)),
            (MediaType::Jpeg, of_jpeg(8_000, 1)),
            (MediaType::Gif, of_gif(8_000, 1)),
            (MediaType::Webp, lossy),
            (MediaType::Webp, lossless),
            (MediaType::Webp, extended),
        ] {
            assert!(kind.fits(&bytes), "{kind:?}");
            assert_eq!(kind.flaw(&bytes), None, "{kind:?}");
            for cut in 12..bytes.len() {
                let flaw = kind.flaw(&bytes[..cut]);
                assert!(flaw.is_some_and(|flaw| flaw.contains("not whole")), "{kind:?} cut at {cut}");
            }
        }
        for (kind, bytes, why) in [
            (MediaType::Png, of_png(0, 1), "no size"),
            (MediaType::Jpeg, of_jpeg(1, 0), "no size"),
            (MediaType::Gif, of_gif(0, 0), "no size"),
            (MediaType::Png, of_png(1, 8_001), "1 × 8001 pixels, of 8000 × 8000"),
            (MediaType::Gif, of_gif(8_001, 1), "8001 × 1 pixels"),
            (MediaType::Png, b"\x89PNG\r\n\x1a\nand no header at all, only words".to_vec(), "not whole"),
            (MediaType::Jpeg, b"\xff\xd8\xff\xd9".to_vec(), "not whole"),
            (MediaType::Jpeg, b"\xff\xd8\xff\xe0\0\0\0\0\0\0".to_vec(), "not whole"),
            (MediaType::Webp, of_webp(b"JUNK", &[0; 20]), "not whole"),
        ] {
            let flaw = kind.flaw(&bytes).unwrap_or_default();
            assert!(flaw.contains(why), "{kind:?}: {flaw}");
        }
    }

    #[test]
    fn a_pdf_must_not_be_encrypted() {
        let table =
            |key: &str| format!("%PDF-1.4\n(/Encrypt 1 0 R)\nxref\n0 1\ntrailer\n<< {key} >>\nstartxref\n27\n%%EOF");
        let stream = |key: &str| {
            format!("%PDF-1.7\n5 0 obj\n<< /Type /XRef {key} >>\nstream\n/Encrypt\nendstream\nstartxref\n9\n%%EOF")
        };
        let lost = |key: &str| format!("%PDF-1.4\ntrailer << {key} >>\nstartxref\n999999\n%%EOF");
        // Where a file can be shown page by page, the last table stands before the first.
        let linear = |key: &str| {
            format!(
                "%PDF-1.4\nxref\n0 1\ntrailer << {key} >>\nstartxref\n0\n%%EOF\nxref\ntrailer << >>\nstartxref\n9\n%%EOF"
            )
        };
        for made in [&table as &dyn Fn(&str) -> String, &stream, &lost, &linear] {
            let flaw = |key: &str| MediaType::Pdf.flaw(made(key).as_bytes());
            assert!(flaw("/Encrypt 5 0 R").is_some_and(|flaw| flaw.contains("password")), "{}", made(""));
            assert!(flaw("/Encrypt<</V 1>>").is_some(), "{}", made(""));
            assert_eq!(flaw("/Root 1 0 R /EncryptMetadata false"), None, "{}", made(""));
        }
        assert_eq!(MediaType::Pdf.flaw(b"%PDF-1.7\nwithout an end"), None);
    }
}

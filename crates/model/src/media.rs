//! What an attachment becomes on the wire, the same for every dialect: an image, a PDF, a text; or, where a model cannot take
//! it or its bytes are gone, a note that says so in its place. A file never makes a request impossible.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outlive_core::media::{Attachment, Family, File, Files, MediaType};

/// An attachment, ready for a dialect.
pub(crate) enum Part {
    /// Text: a file that is one, or the note that there is none.
    Text(String),
    /// An image, in base64.
    Image {
        /// As in `image/png`.
        media_type: &'static str,
        /// In base64.
        data: String,
    },
    /// A PDF, in base64.
    Pdf {
        /// Its name, ending as those of PDFs do.
        name: String,
        /// In base64.
        data: String,
    },
}

/// Makes a part of an attachment, for a model that takes some types besides text.
pub(crate) fn part(attachment: &Attachment, files: &Files, takes: impl Fn(MediaType) -> bool) -> Part {
    let note = |why: &str| Part::Text(format!("[{}: not shown to you, because {why}]", attachment.described()));
    let Some(kind) = attachment.kind() else { return note("its type is not known here") };
    if kind.family() != Family::Text && !takes(kind) {
        return note(&format!("this model or its API does not take {}", kind.as_str()));
    }
    let bytes = match files.get(&attachment.hash) {
        Some(File::Whole(bytes)) => bytes,
        Some(File::LeftOut) => return note("newer files fill the request; ask for it to be sent again"),
        Some(File::Refused) => {
            return note(
                "your provider refused a request with it, so it may be broken or locked; ask for it in another form",
            );
        }
        None => return note("its content is not kept any more"),
    };
    match kind.family() {
        Family::Image => Part::Image { media_type: kind.as_str(), data: STANDARD.encode(bytes) },
        Family::Pdf => Part::Pdf { name: pdf_name(attachment), data: STANDARD.encode(bytes) },
        Family::Text => {
            let name = attachment.name.as_deref().unwrap_or("without a name");
            Part::Text(format!("[file {name}, {}]\n{}", kind.as_str(), String::from_utf8_lossy(bytes)))
        }
    }
}

/// Returns a PDF's name; some APIs know the type by its end.
fn pdf_name(attachment: &Attachment) -> String {
    match attachment.name.as_deref() {
        Some(name) if name.to_ascii_lowercase().ends_with(".pdf") => name.to_owned(),
        Some(name) => format!("{name}.pdf"),
        None => "document.pdf".to_owned(),
    }
}

/// Returns a file as the address that holds it whole.
pub(crate) fn data_url(media_type: &str, data: &str) -> String {
    format!("data:{media_type};base64,{data}")
}

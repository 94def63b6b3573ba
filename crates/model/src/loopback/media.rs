//! Files as the real APIs take them: whole, in base64, of a type that they know, with bytes that are of that type.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outlive_core::content::Block;
use outlive_core::digest::Digest;
use outlive_core::media::{Attachment, Family, File, MediaType};
use serde_json::Value;

use super::check::{Calls, Checked, said, text};

/// Takes a file, if it is of a type that may stand here.
pub(super) fn keep(calls: &mut Calls, (media_type, data): (&str, &str), types: &[MediaType]) -> Checked<Block> {
    let kind = MediaType::parse(media_type).filter(|kind| types.contains(kind));
    let kind = kind.ok_or_else(|| format!("media type `{media_type}` is not supported here"))?;
    let bytes = STANDARD.decode(data).map_err(|_| "the data is not valid base64".to_owned())?;
    if !kind.fits(&bytes) {
        return Err(format!("the file does not match the provided media type {media_type}"));
    }
    let (hash, size) = (Digest::of(&bytes), bytes.len() as u64);
    calls.files.add(hash.clone(), File::Whole(bytes.into()));
    Ok(Block::Media(Attachment { hash, media_type: media_type.to_owned(), name: None, bytes: size }))
}

/// The images that most take.
pub(super) const IMAGES: [MediaType; 4] = [MediaType::Png, MediaType::Jpeg, MediaType::Gif, MediaType::Webp];

/// An address that holds a file whole: these servers fetch nothing.
fn from_url(calls: &mut Calls, url: &Value, types: &[MediaType]) -> Checked<Block> {
    let whole = url.as_str().and_then(|url| url.strip_prefix("data:")?.split_once(";base64,"));
    keep(calls, whole.ok_or("invalid file url: a data URL in base64 is expected")?, types)
}

/// A source of Anthropic's.
pub(super) fn anthropic(calls: &mut Calls, block: &Value) -> Checked<Block> {
    let source = &block["source"];
    if source["type"] != "base64" {
        return Err("source.type: this server takes `base64`".to_owned());
    }
    let types: &[MediaType] = if block["type"] == "image" { &IMAGES } else { &[MediaType::Pdf] };
    keep(calls, (&text(&source["media_type"]), &text(&source["data"])), types)
}

/// A part of Chat Completions.
pub(super) fn openai(calls: &mut Calls, part: &Value) -> Checked<Block> {
    match part["type"].as_str().unwrap_or_default() {
        "text" => said(text(&part["text"])),
        "image_url" => from_url(calls, &part["image_url"]["url"], &IMAGES),
        "file" => pdf(calls, &part["file"]),
        other => Err(format!("invalid content part `{other}`")),
    }
}

/// A part of Responses.
pub(super) fn responses(calls: &mut Calls, part: &Value) -> Checked<Block> {
    match part["type"].as_str().unwrap_or_default() {
        "input_text" => said(text(&part["text"])),
        "input_image" if !["low", "high", "auto"].contains(&text(&part["detail"]).as_str()) => {
            Err("missing required parameter: `detail`".to_owned())
        }
        "input_image" => from_url(calls, &part["image_url"], &IMAGES),
        "input_file" => pdf(calls, part),
        other => Err(format!("invalid content `{other}`")),
    }
}

fn pdf(calls: &mut Calls, file: &Value) -> Checked<Block> {
    if !text(&file["filename"]).ends_with(".pdf") {
        return Err("missing required parameter: `filename`, of a supported type".to_owned());
    }
    from_url(calls, &file["file_data"], &[MediaType::Pdf])
}

/// A part of Gemini.
pub(super) fn gemini(calls: &mut Calls, inline: &Value) -> Checked<Block> {
    let types: Vec<MediaType> = MediaType::ALL.into_iter().filter(|kind| *kind != MediaType::Gif).collect();
    keep(calls, (&text(&inline["mimeType"]), &text(&inline["data"])), &types)
}

/// Images of Ollama, whose types it finds out itself.
pub(super) fn ollama(calls: &mut Calls, message: &Value) -> Checked<Vec<Block>> {
    let mut blocks = Vec::new();
    for image in message["images"].as_array().into_iter().flatten() {
        let data = text(image);
        let bytes = STANDARD.decode(&data).map_err(|_| "illegal base64 data".to_owned())?;
        let kind = MediaType::guess(&bytes, "").filter(|kind| kind.family() == Family::Image);
        let kind = kind.filter(|kind| *kind != MediaType::Gif).ok_or("invalid image: unknown format")?;
        blocks.push(keep(calls, (kind.as_str(), &data), &IMAGES)?);
    }
    Ok(blocks)
}

/// Shared by those that count: no more breakpoints of a cache than the API takes.
pub(super) fn breakpoints(value: &Value) -> usize {
    let below: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(keys) => keys.values().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    usize::from(value.get("cache_control").is_some()) + below.into_iter().map(breakpoints).sum::<usize>()
}

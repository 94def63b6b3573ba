//! Values in the texts of relays and webhooks: `{{input.name}}`, `{{states.NAME.output.key}}`, `{{payload.key}}`.
//!
//! Invariant: what a value holds is never read as a template again.

use serde_json::Value;

/// What stands for values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'a> {
    /// As it is.
    Text(&'a str),
    /// The value at this path.
    Value(Vec<&'a str>),
}

/// The values that a state's texts can name, each under its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Values(pub Value);

/// Takes a text apart.
///
/// # Errors
///
/// What is no template, and what one looks like.
pub fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((path, behind)) = after.split_once("}}") else {
            return Err(
                "`{{` without `}}`: a value is written as its path, such as `{{input.name}}` or `{{payload.name}}`"
                    .to_owned(),
            );
        };
        found.push(Piece::Text(before));
        let keys: Vec<&str> = path.trim().split('.').collect();
        let is_key =
            |key: &&str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if !keys.iter().all(is_key) {
            return Err(format!(
                "`{{{{{path}}}}}` is no path of keys, such as `{{{{input.name}}}}` or `{{{{payload.name}}}}`"
            ));
        }
        found.push(Piece::Value(keys));
        rest = behind;
    }
    found.push(Piece::Text(rest));
    found.retain(|piece| *piece != Piece::Text(""));
    Ok(found)
}

/// Returns the paths of the values that a text names.
///
/// # Errors
///
/// What is no template.
pub fn paths(text: &str) -> Result<Vec<Vec<&str>>, String> {
    let path = |piece| if let Piece::Value(path) = piece { Some(path) } else { None };
    Ok(pieces(text)?.into_iter().filter_map(path).collect())
}

impl Values {
    /// Returns the text with its values in it.
    ///
    /// # Errors
    ///
    /// Names the value that is not there.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        let mut filled = String::with_capacity(text.len());
        for piece in pieces(text)? {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Value(path) => filled.push_str(&self.get(&path)?),
            }
        }
        Ok(filled)
    }

    fn get(&self, path: &[&str]) -> Result<String, String> {
        let mut value = &self.0;
        for key in path {
            let below = key.parse::<usize>().ok().and_then(|at| value.get(at)).or_else(|| value.get(*key));
            value = below.ok_or_else(|| format!("`{{{{{}}}}}` has no value here", path.join(".")))?;
        }
        Ok(match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
        })
    }
}

//! `${VAR}` and `${VAR:-default}` in string values, after parsing: a value can never change the file's structure.

/// Gives a variable its value.
pub type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Expands every variable of a text.
///
/// # Errors
///
/// Names the variable that has neither a value nor a default, or the place where braces do not match.
pub(super) fn expand(text: &str, lookup: &Lookup<'_>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, after) = (rest.get(..start).unwrap_or_default(), rest.get(start + 2..).unwrap_or_default());
        let end = after.find('}').ok_or_else(|| format!("`${{` without `}}` in `{text}`"))?;
        let (name, default) = match after.get(..end).unwrap_or_default().split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (after.get(..end).unwrap_or_default(), None),
        };
        let value = lookup(name).filter(|value| !value.is_empty()).or_else(|| default.map(str::to_owned));
        out.push_str(before);
        out.push_str(
            &value.ok_or_else(|| format!("variable `{name}` has no value; set it, or write `${{{name}:-default}}`"))?,
        );
        rest = after.get(end + 1..).unwrap_or_default();
    }
    out.push_str(rest);
    Ok(out)
}

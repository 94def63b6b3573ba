//! What texts mean, in numbers, from an endpoint that speaks OpenAI's dialect.
//!
//! Invariant: whatever comes back is checked before anybody sees it: a vector for each text, each of the same length, that
//! was asked for if one was, of nothing but numbers, and not all zero.

use outlive_core::agent::{DIMENSIONS, EmbeddingSpec};
use outlive_core::content::{Failure, FailureKind};
use serde_json::{Value, json};

use crate::settings::client;
use crate::{ConnectError, Key, http};

/// Texts of one request: so few that an answer with the longest vectors is read whole.
pub const TEXTS: usize = 16;
/// Characters of the name by which a service calls its model.
const NAME: usize = 200;

/// A service that says in numbers what a text means.
pub struct Embedder {
    /// None where it cannot be asked, and why.
    http: Result<reqwest::Client, String>,
    spec: EmbeddingSpec,
    key: Option<Key>,
}

/// What it says of some texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Vectors {
    /// How the model that made them calls itself; as it was asked for, where it says nothing.
    pub model: String,
    /// One of each text, in their order, all of the same length.
    pub vectors: Vec<Vec<f32>>,
}

impl Embedder {
    /// Makes it; nothing is asked yet.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Http`]
    pub fn new(spec: EmbeddingSpec, key: Option<Key>) -> Result<Self, ConnectError> {
        Ok(Self { http: Ok(client(&spec.base_url)?), spec, key })
    }

    /// One that cannot be asked, for this reason: whoever asks is told.
    #[must_use]
    pub fn unable(spec: EmbeddingSpec, why: String) -> Self {
        Self { http: Err(why), spec, key: None }
    }

    /// Returns the name under which its vectors are kept: the endpoint, the model, and how many numbers are asked for.
    #[must_use]
    pub fn name(&self) -> String {
        let EmbeddingSpec { base_url, model, dimensions, .. } = &self.spec;
        let dimensions = dimensions.map(|dimensions| format!("/{dimensions}")).unwrap_or_default();
        format!("{} {model}{dimensions}", base_url.trim_end_matches('/'))
    }

    /// Asks for a vector of each text, at most [`TEXTS`].
    ///
    /// # Errors
    ///
    /// [`Failure`]: it cannot be reached, refuses ([`FailureKind::InvalidRequest`]), or says what cannot be right
    /// ([`FailureKind::Truncated`]).
    pub async fn vectors(&self, texts: &[String]) -> Result<Vectors, Failure> {
        let client = self.http.as_ref().map_err(|why| http::failure(FailureKind::Auth, why.clone()))?;
        let EmbeddingSpec { base_url, model, dimensions, .. } = &self.spec;
        let mut body = json!({ "model": model, "input": texts, "encoding_format": "float" });
        if let (Some(dimensions), Some(body)) = (dimensions, body.as_object_mut()) {
            body.insert("dimensions".to_owned(), json!(dimensions));
        }
        let mut call = client.post(format!("{}/embeddings", base_url.trim_end_matches('/'))).json(&body);
        if let Some(key) = &self.key {
            call = call.bearer_auth(key.reveal());
        }
        let told = http::json(call).await?;
        let named = told.get("model").and_then(Value::as_str).filter(|named| !named.is_empty()).unwrap_or(model);
        let model = named.chars().take(NAME).collect();
        Ok(Vectors { model, vectors: read(&told, texts.len(), *dimensions)? })
    }
}

/// Reads an answer to so many texts.
fn read(told: &Value, texts: usize, dimensions: Option<usize>) -> Result<Vec<Vec<f32>>, Failure> {
    let wrong = |why: String| http::failure(FailureKind::Truncated, format!("the embedding service answers {why}"));
    let listed = told.get("data").and_then(Value::as_array).ok_or_else(|| wrong("without a list".to_owned()))?;
    if listed.len() != texts {
        return Err(wrong(format!("{} vectors to {texts} texts", listed.len())));
    }
    let mut vectors: Vec<Option<Vec<f32>>> = vec![None; texts];
    for (n, one) in listed.iter().enumerate() {
        let at = one.get("index").map_or(Some(n), |at| at.as_u64().and_then(|at| usize::try_from(at).ok()));
        let place = at.and_then(|at| vectors.get_mut(at)).filter(|place| place.is_none());
        let place = place.ok_or_else(|| wrong("twice to one text".to_owned()))?;
        *place = Some(vector(one).ok_or_else(|| wrong("with what is no vector".to_owned()))?);
    }
    let vectors: Vec<Vec<f32>> = vectors.into_iter().flatten().collect();
    let length = dimensions.or_else(|| vectors.first().map(Vec::len)).unwrap_or_default();
    match vectors.iter().find(|vector| vector.len() != length) {
        Some(other) => Err(wrong(format!("a vector of {} numbers, not {length}", other.len()))),
        None => Ok(vectors),
    }
}

fn vector(one: &Value) -> Option<Vec<f32>> {
    let numbers = one.get("embedding")?.as_array().filter(|numbers| (1..=DIMENSIONS).contains(&numbers.len()))?;
    let numbers = numbers.iter().map(|number| number.as_f64().map(|number| number as f32).filter(|n| n.is_finite()));
    let vector = numbers.collect::<Option<Vec<f32>>>()?;
    vector.iter().any(|number| *number != 0.0).then_some(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_only_if_it_can_be_right() {
        let one = |at: usize, vector: Value| json!({ "index": at, "embedding": vector });
        let answer = |items: Vec<Value>| json!({ "data": items });
        let good = answer(vec![one(1, json!([0.0, 1.0])), one(0, json!([1.0, 0.5]))]);
        assert_eq!(read(&good, 2, None), Ok(vec![vec![1.0, 0.5], vec![0.0, 1.0]]), "in the order of the texts");
        assert_eq!(read(&good, 2, Some(2)).map(|vectors| vectors.len()), Ok(2));
        for (case, told, texts, dimensions) in [
            ("other length", good.clone(), 2, Some(3)),
            ("too few", good.clone(), 3, None),
            ("too many", good, 1, None),
            ("lengths differ", answer(vec![one(0, json!([1.0])), one(1, json!([1.0, 2.0]))]), 2, None),
            ("twice", answer(vec![one(0, json!([1.0])), one(0, json!([1.0]))]), 2, None),
            ("no number", answer(vec![one(0, json!([null, 1.0]))]), 1, None),
            ("a word", answer(vec![one(0, json!(["NaN", 1.0]))]), 1, None),
            ("too large", answer(vec![one(0, json!([1e300]))]), 1, None),
            ("nothing", answer(vec![one(0, json!([]))]), 1, None),
            ("zero", answer(vec![one(0, json!([0.0, 0.0]))]), 1, None),
            ("endless", answer(vec![one(0, json!(vec![1.0; 9_000]))]), 1, None),
            ("no list", json!("hello"), 1, None),
        ] {
            assert!(read(&told, texts, dimensions).is_err(), "{case}");
        }
    }
}

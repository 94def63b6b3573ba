//! Who sent a webhook, by the signature that its sender's documentation describes: Standard Webhooks, GitHub, Slack, Stripe.
//!
//! Invariants: signatures are compared in constant time; a time outside of five minutes is refused where the scheme has one;
//! every delivery has an id, so that a replay is known.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::digest::Digest;
use crate::time::Timestamp;

/// How far a sender's clock may be from ours, in seconds.
const TOLERANCE_S: i64 = 300;
/// Bytes of an id that a sender gives.
const ID_BYTES: usize = 256;

/// How a sender signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// standardwebhooks.com: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    Standard,
    /// `x-hub-signature-256`. Without a time, and with an id that nobody signs: a delivery is known by its body.
    Github,
    /// `x-slack-signature` and `x-slack-request-timestamp`.
    Slack,
    /// `stripe-signature`.
    Stripe,
}

/// What was sent.
#[derive(Clone, Copy)]
pub struct Sent<'a> {
    /// Finds a header by its name in lower case.
    pub header: &'a dyn Fn(&str) -> Option<String>,
    /// The body, byte by byte.
    pub body: &'a [u8],
}

/// A webhook whose sender knows the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The same for each time that it is delivered.
    pub id: String,
}

/// Why a webhook is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A header is not there or is none.
    #[error("the header `{0}` is missing, or not of the form that this hook's scheme has")]
    Unsigned(&'static str),
    /// It is too old, or from the future.
    #[error("its time is {0} seconds away from this server's: at most {TOLERANCE_S} are taken")]
    Stale(i64),
    /// The signature is another.
    #[error("its signature is not by this hook's secret")]
    Forged,
    /// The secret cannot be one.
    #[error("this hook's secret is not base64 after `whsec_`")]
    Unkeyed,
}

impl Scheme {
    /// Returns what a sender wants to hear before it sends anything else, if that is what it asks: Slack's `url_verification`.
    #[must_use]
    pub fn challenge(self, payload: &serde_json::Value) -> Option<&str> {
        let asks = self == Self::Slack && payload.get("type")?.as_str()? == "url_verification";
        payload.get("challenge")?.as_str().filter(|challenge| asks && challenge.len() <= ID_BYTES)
    }
}

/// Says whose a webhook is.
///
/// # Errors
///
/// [`Rejection`]
pub fn verify(scheme: Scheme, secret: &str, sent: Sent<'_>, now: Timestamp) -> Result<Delivery, Rejection> {
    match scheme {
        Scheme::Standard => standard(secret, sent, now),
        Scheme::Github => github(secret, sent),
        Scheme::Slack => slack(secret, sent, now),
        Scheme::Stripe => stripe(secret, sent, now),
    }
}

/// Signs what is sent to others, by Standard Webhooks: the value of `webhook-signature`.
///
/// # Errors
///
/// [`Rejection::Unkeyed`]
pub fn sign(secret: &str, (id, at_s): (&str, i64), body: &[u8]) -> Result<String, Rejection> {
    let signature = hmac(&key(secret)?, &[format!("{id}.{at_s}.").as_bytes(), body]).finalize().into_bytes();
    Ok(format!("v1,{}", STANDARD.encode(signature)))
}

fn standard(secret: &str, sent: Sent<'_>, now: Timestamp) -> Result<Delivery, Rejection> {
    let id = header(sent, "webhook-id")?;
    let at = seconds(&header(sent, "webhook-timestamp")?).ok_or(Rejection::Unsigned("webhook-timestamp"))?;
    let signatures = header(sent, "webhook-signature")?;
    in_time(at, now)?;
    let signed = hmac(&key(secret)?, &[format!("{id}.{at}.").as_bytes(), sent.body]);
    let versions = signatures.split(' ').filter_map(|one| one.strip_prefix("v1,"));
    is_one_of(&signed, versions.filter_map(|one| STANDARD.decode(one).ok()))?;
    Ok(Delivery { id })
}

fn github(secret: &str, sent: Sent<'_>) -> Result<Delivery, Rejection> {
    let signature = header(sent, "x-hub-signature-256")?;
    let signature = signature.strip_prefix("sha256=").and_then(from_hex);
    let signature = signature.ok_or(Rejection::Unsigned("x-hub-signature-256"))?;
    is_one_of(&hmac(secret.as_bytes(), &[sent.body]), [signature].into_iter())?;
    // Nobody signs the id that is sent: the same body under another one is the same.
    Ok(Delivery { id: Digest::of(sent.body).as_str().to_owned() })
}

fn slack(secret: &str, sent: Sent<'_>, now: Timestamp) -> Result<Delivery, Rejection> {
    let at = header(sent, "x-slack-request-timestamp")?;
    let at = seconds(&at).ok_or(Rejection::Unsigned("x-slack-request-timestamp"))?;
    let signature = header(sent, "x-slack-signature")?;
    let signature = signature.strip_prefix("v0=").and_then(from_hex).ok_or(Rejection::Unsigned("x-slack-signature"))?;
    in_time(at, now)?;
    let signed = hmac(secret.as_bytes(), &[format!("v0:{at}:").as_bytes(), sent.body]);
    is_one_of(&signed, [signature].into_iter())?;
    Ok(Delivery { id: own_id(sent.body, "event_id").unwrap_or_else(|| format!("v0={}", hex(&signed))) })
}

fn stripe(secret: &str, sent: Sent<'_>, now: Timestamp) -> Result<Delivery, Rejection> {
    const NAME: &str = "stripe-signature";
    let shown = header(sent, NAME)?;
    let parts = || shown.split(',').filter_map(|part| part.trim().split_once('='));
    let at = parts().find(|(key, _)| *key == "t").and_then(|(_, at)| seconds(at)).ok_or(Rejection::Unsigned(NAME))?;
    let signatures: Vec<Vec<u8>> =
        parts().filter(|(key, _)| *key == "v1").filter_map(|(_, hex)| from_hex(hex)).collect();
    in_time(at, now)?;
    let signed = hmac(secret.as_bytes(), &[format!("{at}.").as_bytes(), sent.body]);
    is_one_of(&signed, signatures.into_iter())?;
    Ok(Delivery { id: own_id(sent.body, "id").unwrap_or_else(|| hex(&signed)) })
}

fn header(sent: Sent<'_>, name: &'static str) -> Result<String, Rejection> {
    let value = (sent.header)(name).filter(|value| !value.is_empty() && value.len() <= 4 * ID_BYTES);
    value.ok_or(Rejection::Unsigned(name))
}

fn seconds(text: &str) -> Option<i64> {
    text.parse().ok().filter(|at| (0..=i64::from(u32::MAX)).contains(at))
}

fn in_time(at: i64, now: Timestamp) -> Result<(), Rejection> {
    let away = (now.micros() / 1_000_000).saturating_sub(at).saturating_abs();
    if away <= TOLERANCE_S { Ok(()) } else { Err(Rejection::Stale(away)) }
}

/// The sender's own name for what happened: the same for each time that it is told.
fn own_id(body: &[u8], key: &str) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let id = body.get(key)?.as_str()?;
    Some(id.chars().take(ID_BYTES).collect::<String>()).filter(|id| !id.is_empty())
}

fn key(secret: &str) -> Result<Vec<u8>, Rejection> {
    let text = secret.strip_prefix("whsec_").unwrap_or(secret);
    STANDARD.decode(text).ok().filter(|key| !key.is_empty()).ok_or(Rejection::Unkeyed)
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    // A key of any length is one.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
    parts.iter().for_each(|part| mac.update(part));
    mac
}

fn is_one_of(signed: &Hmac<Sha256>, mut shown: impl Iterator<Item = Vec<u8>>) -> Result<(), Rejection> {
    let fits = |signature: Vec<u8>| signed.clone().verify_slice(&signature).is_ok();
    if shown.any(fits) { Ok(()) } else { Err(Rejection::Forged) }
}

/// What was computed, and not what was shown: that may be written in several ways.
fn hex(signed: &Hmac<Sha256>) -> String {
    signed.clone().finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let nibbles: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c.to_digit(16)?).ok()).collect();
    let nibbles = nibbles.filter(|nibbles| !nibbles.is_empty() && nibbles.len() % 2 == 0)?;
    Some(nibbles.chunks(2).map(|pair| pair.iter().fold(0, |byte, nibble| byte << 4 | nibble)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn check(
        scheme: Scheme,
        secret: &str,
        headers: &[(&str, &str)],
        body: &str,
        now: i64,
    ) -> Result<String, Rejection> {
        let find = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let sent = Sent { header: &find, body: body.as_bytes() };
        verify(scheme, secret, sent, at(now)).map(|delivery| delivery.id)
    }

    #[test]
    fn the_example_of_standard_webhooks_is_taken_and_nothing_near_it() {
        let (id, time, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#);
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let headers = |id: &'static str, time: &'static str, signature: &'static str| {
            [("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", signature)]
        };
        let take = |headers: &[(&str, &str)], body: &str, now| check(Scheme::Standard, SECRET, headers, body, now);
        let now = 1_614_265_330;
        assert_eq!(take(&headers(id, time, signature), body, now), Ok(id.to_owned()));
        let several = "v1,AAAA v1a,zzzz v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(take(&headers(id, time, several), body, now + 299), Ok(id.to_owned()));
        assert_eq!(take(&headers(id, time, signature), body, now + 301), Err(Rejection::Stale(301)));
        assert_eq!(take(&headers(id, time, signature), body, now - 301), Err(Rejection::Stale(301)));
        assert_eq!(take(&headers("msg_other", time, signature), body, now), Err(Rejection::Forged));
        assert_eq!(take(&headers(id, "1614265331", signature), body, now), Err(Rejection::Forged));
        assert_eq!(take(&headers(id, time, signature), r#"{"test": 2432232315}"#, now), Err(Rejection::Forged));
        assert_eq!(take(&headers(id, time, "v1,"), body, now), Err(Rejection::Forged));
        assert_eq!(take(&headers(id, "soon", signature), body, now), Err(Rejection::Unsigned("webhook-timestamp")));
        assert_eq!(take(&[], body, now), Err(Rejection::Unsigned("webhook-id")));
        let unkeyed = check(Scheme::Standard, "whsec_!", &headers(id, time, signature), body, now);
        assert_eq!(unkeyed, Err(Rejection::Unkeyed));
        let signed = sign(SECRET, (id, now), body.as_bytes());
        assert_eq!(signed.as_deref(), Ok(signature));
    }

    #[test]
    fn the_example_of_github_is_taken() {
        let (secret, body) = ("It's a Secret to Everybody", "Hello, World!");
        let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let headers = [("x-github-delivery", "d-1"), ("x-hub-signature-256", signature)];
        let id = check(Scheme::Github, secret, &headers, body, 0).unwrap();
        let again = [("x-github-delivery", "d-2"), ("x-hub-signature-256", signature)];
        assert_eq!(check(Scheme::Github, secret, &again, body, 0), Ok(id), "nobody signs the id");
        assert_eq!(check(Scheme::Github, secret, &headers, "Hello, World?", 0), Err(Rejection::Forged));
        assert_eq!(check(Scheme::Github, "another", &headers, body, 0), Err(Rejection::Forged));
        let bad = [("x-github-delivery", "d-1"), ("x-hub-signature-256", "sha256=zz")];
        assert_eq!(check(Scheme::Github, secret, &bad, body, 0), Err(Rejection::Unsigned("x-hub-signature-256")));
    }

    #[test]
    fn the_example_of_slack_is_taken_once_by_its_own_id() {
        let secret = "8f742231b10e8888abcd99yyyzzz85a5";
        let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
                    channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&\
                    response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&\
                    trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
        let headers = [("x-slack-request-timestamp", "1531420618"), ("x-slack-signature", signature)];
        assert_eq!(check(Scheme::Slack, secret, &headers, body, 1_531_420_618), Ok(signature.to_owned()));
        let upper = signature.to_uppercase().replace("V0=", "v0=");
        let headers_again = [("x-slack-request-timestamp", "1531420618"), ("x-slack-signature", upper.as_str())];
        assert_eq!(check(Scheme::Slack, secret, &headers_again, body, 1_531_420_618), Ok(signature.to_owned()));
        assert_eq!(check(Scheme::Slack, secret, &headers, body, 1_531_430_618), Err(Rejection::Stale(10_000)));
    }

    #[test]
    fn a_stripe_signature_covers_its_time_and_its_body() {
        let (secret, body) = ("whsec_stripe", r#"{"id":"evt_1"}"#);
        let mac = hmac(secret.as_bytes(), &[b"1700000000.", body.as_bytes()]).finalize().into_bytes();
        let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        let header = format!("t=1700000000,v1=00ff,v1={hex},v0=1");
        let check =
            |header: &str, body: &str, now| check(Scheme::Stripe, secret, &[("stripe-signature", header)], body, now);
        assert_eq!(check(&header, body, 1_700_000_000), Ok("evt_1".to_owned()));
        assert_eq!(check(&header, r#"{"id":"evt_2"}"#, 1_700_000_000), Err(Rejection::Forged));
        assert_eq!(check(&header.replace("1700000000", "1700000001"), body, 1_700_000_000), Err(Rejection::Forged));
        assert_eq!(check(&header, body, 1_700_000_400), Err(Rejection::Stale(400)));
        assert_eq!(check("v1=00", body, 1_700_000_000), Err(Rejection::Unsigned("stripe-signature")));
    }
}

//! What goes wrong on the way, told apart by what can be done about it.

use std::sync::Arc;

use outlive_core::content::FailureKind;
use outlive_model::connect;
use outlive_model::loopback::{Loopback, Plan, recording};

use crate::fixture::{
    DIALECTS, STREAM, Then, answer, ask, ask_canned, canned, canned_settings, dialect, hi, reach, rich, url,
};

#[tokio::test]
async fn every_status_is_told_apart_by_what_can_be_done() {
    let server = Loopback::start(0).await.unwrap();
    for provider in DIALECTS {
        let model = reach(&server, provider);
        for (status, kind) in [
            (401, FailureKind::Auth),
            (403, FailureKind::Auth),
            (400, FailureKind::InvalidRequest),
            (404, FailureKind::InvalidRequest),
            (413, FailureKind::InvalidRequest),
            (408, FailureKind::Timeout),
            (429, FailureKind::RateLimited),
            (500, FailureKind::Overloaded),
            (503, FailureKind::Overloaded),
            (529, FailureKind::Overloaded),
        ] {
            server.plan(Plan::Status(status, Some(7)));
            let failure = model.stream(hi(), Arc::new(|_| {})).await.unwrap_err();
            assert_eq!((failure.kind, failure.retry_after_ms), (kind, Some(7_000)), "{provider} {status}");
        }
    }
}

#[tokio::test]
async fn a_wrong_key_is_told_apart_from_a_wrong_request() {
    let server = Loopback::start(0).await.unwrap();
    for provider in DIALECTS {
        let failure = ask_canned(provider, &url(&server, provider)).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Auth, "{provider}: {failure}");
    }
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_a_network_failure() {
    let server = Loopback::start(0).await.unwrap();
    let settings = |provider: &str| canned_settings(provider, "http://127.0.0.1:1/v1");
    drop(server);
    for provider in DIALECTS {
        let model = connect(settings(provider)).unwrap();
        let failure = model.stream(hi(), Arc::new(|_| {})).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Network);
        assert!(!format!("{failure:?} {:?}", settings(provider)).contains("secret-key"));
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_is_truncated() {
    let server = Loopback::start(0).await.unwrap();
    for provider in DIALECTS {
        for at in [0, 1, 40, 300, 700] {
            server.plan(Plan::Cut(rich(), at));
            let (reply, _) = ask(&server, provider, hi()).await;
            assert_eq!(reply.unwrap_err().kind, FailureKind::Truncated, "{provider}, cut at {at}");
        }
    }
}

#[tokio::test]
async fn a_routers_errors_name_the_provider_behind_it() {
    let json = "content-type: application/json\r\n";
    let flagged =
        r#"{"error":{"code":403,"message":"flagged","metadata":{"reasons":["violence"],"flagged_input":"x"}}}"#;
    let (url, _) = canned(answer("403 No", json, flagged), Then::HangUp);
    assert_eq!(ask_canned("openrouter", &url).await.unwrap_err().kind, FailureKind::Refused);
    let behind = r#"{"error":{"code":502,"message":"Provider returned error","metadata":{"raw":"no capacity","provider_name":"P"}}}"#;
    let (url, _) = canned(answer("200 OK", STREAM, &format!("data: {behind}\n\n")), Then::HangUp);
    let failure = ask_canned("openrouter", &url).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Overloaded);
    assert_eq!(failure.message, "the provider broke off: Provider returned error: no capacity");
}

#[tokio::test]
async fn errors_are_told_apart_by_what_they_name_and_not_by_their_prose() {
    let busy = r#"{"error":{"message":"Rate limit reached. See /account/billing to learn more.","type":"requests","code":"rate_limit_exceeded"}}"#;
    let empty =
        r#"{"error":{"message":"You exceeded your quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    for (body, kind) in [(busy, FailureKind::RateLimited), (empty, FailureKind::Auth)] {
        let (url, _) = canned(answer("429 Too Many", "content-type: application/json\r\n", body), Then::HangUp);
        assert_eq!(ask_canned("openai", &url).await.unwrap_err().kind, kind);
    }
    for (code, kind) in [
        ("400", FailureKind::InvalidRequest),
        ("402", FailureKind::Auth),
        ("429", FailureKind::RateLimited),
        ("502", FailureKind::Overloaded),
        ("\"no_idea\"", FailureKind::Truncated),
        ("\"overloaded_error\"", FailureKind::Overloaded),
    ] {
        let body = format!("data: {{\"error\":{{\"code\":{code},\"message\":\"m\"}}}}\n\n");
        let (url, _) = canned(answer("200 OK", STREAM, &body), Then::HangUp);
        assert_eq!(ask_canned("openai", &url).await.unwrap_err().kind, kind, "{code}");
    }
}

#[tokio::test]
async fn a_delay_among_the_details_of_an_error_is_heeded() {
    let body = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"m","details":[{"@type":"x","quotaId":"y"},{"retryDelay":"12.5s"}]}}"#;
    let (url, _) = canned(answer("429 Too Many", "content-type: application/json\r\n", body), Then::HangUp);
    let failure = ask_canned("gemini", &url).await.unwrap_err();
    assert_eq!((failure.kind, failure.retry_after_ms), (FailureKind::RateLimited, Some(12_500)));
}

#[tokio::test]
async fn a_date_to_come_back_at_is_counted_from_the_answers_own() {
    let headers = "date: Sat, 21 Nov 2026 10:00:00 GMT\r\nretry-after: Sat, 21 Nov 2026 10:00:30 GMT\r\n";
    let (url, _) = canned(answer("503 Busy", headers, ""), Then::HangUp);
    assert_eq!(ask_canned("anthropic", &url).await.unwrap_err().retry_after_ms, Some(30_000));
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_key() {
    let (elsewhere, heard) = canned(answer("200 OK", STREAM, ""), Then::HangUp);
    let elsewhere = elsewhere.replace("127.0.0.1", "localhost");
    let (url, _) = canned(answer("307 Moved", &format!("location: {elsewhere}/v1\r\n"), ""), Then::HangUp);
    assert_eq!(ask_canned("anthropic", &url).await.unwrap_err().kind, FailureKind::InvalidRequest);
    assert_eq!(heard.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn a_provider_that_is_away_is_named_with_the_last_cause() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let failure = ask_canned("openai", &format!("http://user:pass@{address}/v1")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Network);
    assert!(failure.message.starts_with(&format!("{address} cannot be reached: ")), "{}", failure.message);
    assert!(failure.message.contains("refused") && !failure.message.contains("pass"), "{}", failure.message);
}

/// The connection is real, and so is time until the first word; from then on nothing comes, and time goes by as fast as the
/// test does.
#[tokio::test]
async fn a_stream_that_falls_silent_is_given_up_when_a_model_could_not_think_so_long() {
    for provider in DIALECTS {
        let minutes = if provider == "anthropic" { 2 } else { 10 };
        let begun = recording(dialect(provider), &rich());
        let begun = String::from_utf8_lossy(&begun[..begun.len() * 2 / 3]).into_owned();
        let (base_url, _) = canned(answer("200 OK", STREAM, &begun), Then::Hang);
        let first_word = Arc::new(std::sync::OnceLock::new());
        let heard = Arc::clone(&first_word);
        let sink: outlive_model::Sink = Arc::new(move |_| {
            heard.get_or_init(|| {
                tokio::time::pause();
                tokio::time::Instant::now()
            });
        });
        let model = connect(canned_settings(provider, &base_url)).unwrap();
        let failure = model.stream(hi(), sink).await.unwrap_err();
        let silent = first_word.get().unwrap().elapsed();
        tokio::time::resume();
        assert_eq!(
            (failure.kind, failure.message.as_str()),
            (FailureKind::Timeout, "the stream fell silent"),
            "{provider}"
        );
        assert_eq!(silent.as_secs() / 60, minutes, "{provider}");
    }
}

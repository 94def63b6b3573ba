//! Runs the loopback server, so that Outlive can be tried against the real dialects without a key of anybody's.
//!
//! `cargo run -p outlive-model --features loopback --example loopback -- 8899`, then in an agent.yaml:
//! `model: {provider: anthropic, name: loopback, base_url: "http://127.0.0.1:8899"}` with `ANTHROPIC_API_KEY=sk-loopback`.

use outlive_model::loopback::{KEY, Loopback};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    let server = Loopback::start(port).await?;
    println!("speaks every dialect at {}; the key is {KEY}", server.base_url());
    std::future::pending().await
}

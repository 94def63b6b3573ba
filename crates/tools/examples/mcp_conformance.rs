//! interim
#![allow(clippy::all, clippy::disallowed_methods, clippy::unwrap_used)]
use outlive_tools::mcp::oauth::{Lent, Login, Settings, file::TokenFile};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, model::*};

struct Plain;
impl ClientHandler for Plain {}

async fn authorize(login: &Login, challenge: Option<&str>) -> Result<(), String> {
    let begun = login.begin("http://127.0.0.1:3999/callback", challenge).await.map_err(|e| format!("begin: {e}"))?;
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let response = http.get(begun.url()).send().await.map_err(|e| e.to_string())?;
    let location = response.headers().get("location").ok_or("no location")?.to_str().unwrap().to_owned();
    let granted = begun.finish(&location).await.map_err(|e| format!("finish: {e}"))?;
    eprintln!("granted {granted:?}");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), String> {
    let url = std::env::args().nth(1).unwrap();
    let scenario = std::env::var("MCP_CONFORMANCE_SCENARIO").unwrap();
    let version = std::env::var("MCP_CONFORMANCE_PROTOCOL_VERSION").unwrap_or_default();
    let context: serde_json::Value = std::env::var("MCP_CONFORMANCE_CONTEXT").ok().and_then(|t| serde_json::from_str(&t).ok()).unwrap_or_default();
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile::new(folder.path(), "agent", "server");
    let given = |n: &str| context[n].as_str().map(str::to_owned);
    let flow = if scenario.contains("client-credentials") { outlive_tools::mcp::oauth::Flow::Program } else { Default::default() };
    let settings = Settings { client_id: given("client_id").or(Some("https://conformance-test.local/client-metadata.json".into())), client_secret: given("client_secret"), flow, ..Default::default() };
    let login = Login::new(&url, file, settings).map_err(|e| e.to_string())?;
    let lent = Lent::new(login.clone(), "login");
    for attempt in 0..4 {
        let token = lent.token().await?;
        let mut config = StreamableHttpClientTransportConfig::with_uri(url.clone());
        config.auth_header = token;
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let transport = StreamableHttpClientTransport::with_client(http, config);
        let mode = if version.starts_with("2026") { ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] } } else { ClientLifecycleMode::Initialize };
        let client = match Plain.serve_with_lifecycle(transport, mode).await {
            Ok(client) => client,
            Err(error) => {
                eprintln!("attempt {attempt}: {error:?}");
                let Some(challenge) = error.auth_challenge().map(str::to_owned) else { return Err(error.to_string()) };
                if let Err(why) = lent.challenged(&challenge).await { eprintln!("{why}"); authorize(&login, Some(&challenge)).await?; }
                continue;
            }
        };
        let mut again = false;
        match client.list_tools(None).await {
            Ok(tools) => for tool in tools.tools {
                if let Err(error) = client.call_tool(CallToolRequestParams::new(tool.name.clone())).await {
                    eprintln!("call: {error:?}");
                    let text = format!("{error:?}");
                    if let Some(at) = text.find("www_authenticate_header: \"") {
                        let challenge = text[at + 26..].split("\", required_scope").next().unwrap().trim_end_matches("\" })").replace("\\\"", "\"");
                        eprintln!("challenge {challenge}");
                        if let Err(why) = lent.challenged(&challenge).await { eprintln!("{why}"); authorize(&login, Some(&challenge)).await?; }
                        again = true;
                    }
                }
            },
            Err(error) => { eprintln!("list: {error:?}");
                    let text = format!("{error:?}");
                    if let Some(at) = text.find("www_authenticate_header: \"") {
                        let challenge = text[at + 26..].split("\", required_scope").next().unwrap().trim_end_matches("\" })").replace("\\\"", "\"");
                        if let Err(why) = lent.challenged(&challenge).await { eprintln!("{why}"); authorize(&login, Some(&challenge)).await?; }
                        again = true;
                    }
            }
        }
        let _ = client.cancel().await;
        if !again { return Ok(()); }
    }
    Ok(())
}

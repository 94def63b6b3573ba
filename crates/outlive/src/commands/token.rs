//! Makes, lists and revokes tokens, over the API: the server alone writes their list.

use outlive_protocol::Page;
use outlive_protocol::token::{PostToken, Scopes, TokenMade, TokenView};
use reqwest::Method;

use crate::cli::token::{Create, Token};
use crate::client::{Client, connect};
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};
use crate::show;

pub async fn run(place: &Workspace, command: Token) -> Outcome {
    let client = connect(place).await?;
    match command {
        Token::Create(create) => make(&client, create).await?,
        Token::List(json) => list(&client, json.json).await?,
        Token::Revoke { name } => {
            client.delete(&format!("/tokens/{}", crate::client::encoded(&name))).await?;
            say!("{name} lets nobody in any more");
        }
    }
    ok()
}

async fn make(client: &Client, create: Create) -> Result<(), Failure> {
    let Create { name, scope, expires, json } = create;
    let wanted = PostToken { name, scopes: Scopes(scope.into_iter().collect()), expires_in_s: expires };
    let made: TokenMade = client.send(Method::POST, "/tokens", &wanted).await?;
    if json {
        return show::json(&made);
    }
    say!("{}", made.token);
    let until = made.view.expires_at.map(|at| format!(" until {at}")).unwrap_or_default();
    eprintln!("`{}` may {}{until}. Nobody can show this again.", made.view.name, made.view.scopes);
    Ok(())
}

async fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let all: Page<TokenView> = client.get("/tokens").await?;
    if json {
        return show::json(&all);
    }
    let until = |token: &TokenView| match token.expires_at {
        Some(at) if token.expired => format!("{at} (over)"),
        Some(at) => at.to_string(),
        None => "-".to_owned(),
    };
    let line = |token: &TokenView| {
        vec![token.name.clone(), token.scopes.to_string(), token.created_at.to_string(), until(token)]
    };
    show::table(&["NAME", "SCOPES", "MADE", "UNTIL"], &all.items.iter().map(line).collect::<Vec<_>>());
    Ok(())
}

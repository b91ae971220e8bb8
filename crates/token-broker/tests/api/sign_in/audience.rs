//! Tokens for an audience and a resource: what the provider is asked, and which connection answers whom.

use http::StatusCode;
use hubkey_fakes::hostile_provider::Endpoint;
use serde_json::{Value, json};
use url::Url;

use crate::support::{
    browser::parameter,
    kernel::{Connected, TestKernel, connected},
    world::{World, WorldOptions},
};

const AUDIENCE: &str = "https://api.example.org";
const RESOURCE: &str = "https://api.example.org/v1";

/// What a kernel may wish for: each another token.
fn wishes() -> [Value; 5] {
    [
        json!({}),
        json!({ "audience": AUDIENCE }),
        json!({ "resource": RESOURCE }),
        json!({ "audience": AUDIENCE, "resource": RESOURCE }),
        json!({ "provider": "cloud", "audience": AUDIENCE }),
    ]
}

/// Signs in for a wish; the requests of both steps carry it, and no other.
async fn connect(world: &World, kernel: &TestKernel, wish: &Value) -> Connected {
    let provider = wish["provider"].as_str().unwrap_or("lab-api");
    let mut body = wish.clone();
    body["provider"] = json!(provider);
    let answer = kernel.create(&body).await;
    assert_eq!(
        answer.status,
        StatusCode::CREATED,
        "{wish}: {}",
        answer.text()
    );
    let sign_in = crate::support::kernel::opened(&answer.json());
    let mut browser = world.browser("alice");
    let leaving = browser.go_to_provider(&sign_in).await;
    let url = Url::parse(leaving.location()).unwrap();
    let back = browser.at_provider(leaving.location()).await;
    assert_eq!(browser.come_back(provider, &back).await.kind(), "view");
    let redeemed = world.provider.requests(Endpoint::Token).pop().unwrap();
    for name in ["audience", "resource"] {
        let wanted = wish[name].as_str().map(str::to_owned);
        assert_eq!(parameter(&url, name), wanted, "{name} of {wish}");
        assert_eq!(redeemed.form_value(name), wanted, "{name} of {wish}");
    }
    kernel.collect(&sign_in).await
}

#[tokio::test]
async fn feature_a10_an_audience_reaches_the_provider_and_has_a_token_of_its_own() {
    let world = World::with(WorldOptions {
        providers: vec!["lab-api", "cloud"],
        elsewhere: vec!["other"],
        ..WorldOptions::default()
    })
    .await;
    let kernel = world.kernel("alice", "");
    let mut held = Vec::new();
    for wish in wishes() {
        held.push((connect(&world, &kernel, &wish).await, wish));
    }
    let asked = world.provider.hits(Endpoint::Token);
    for (connection, wish) in &held {
        let mut body = wish.clone();
        body["provider"] = json!(wish["provider"].as_str().unwrap_or("lab-api"));
        let found = kernel.create(&body).await;
        assert_eq!(found.status, StatusCode::OK, "{wish}: {}", found.text());
        assert!(
            connected(&found.json()) == *connection,
            "{wish} got another's"
        );
    }
    assert_eq!(world.provider.hits(Endpoint::Token), asked, "all are kept");
    let mut ids: Vec<_> = held.iter().map(|(connection, _)| &connection.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), held.len(), "each has its own");
    // More scopes, and another issuer with the same client, are other tokens.
    for missing in [
        json!({ "provider": "lab-api", "audience": AUDIENCE, "scopes": ["projects:write"] }),
        json!({ "provider": "other", "audience": AUDIENCE }),
    ] {
        let answer = kernel.create(&missing).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{missing}");
    }
}

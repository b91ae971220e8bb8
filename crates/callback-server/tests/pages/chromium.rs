//! A headless Chromium for one test, and our router on a real port.

use std::path::PathBuf;

use axum::Router;
use hubkey_e2e::real::browser::Browser;
use hubkey_starters::process::RunFolder;
use serde_json::json;
use thirtyfour::WebDriver;
use tokio::net::TcpListener;

use crate::support::Server;

/// Runs a test in a browser of its own. The browser ends also when the test fails.
pub(crate) async fn in_browser(test: impl AsyncFnOnce(WebDriver)) {
    let run = RunFolder::create("pages").unwrap();
    let browser = Browser::start(&run, "person").await.unwrap();
    test(browser.driver().clone()).await;
    browser.quit().await;
}

/// Sets the window's size and the colour scheme that the person prefers.
pub(crate) async fn emulate(driver: &WebDriver, width: u32, height: u32, scheme: &str) {
    let metrics =
        json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
    driver
        .cdp()
        .send_raw("Emulation.setDeviceMetricsOverride", metrics)
        .await
        .unwrap();
    let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
    driver
        .cdp()
        .send_raw("Emulation.setEmulatedMedia", media)
        .await
        .unwrap();
}

/// Keeps a picture of the whole page for people to look at.
pub(crate) async fn picture(driver: &WebDriver, name: &str) {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pages");
    std::fs::create_dir_all(&directory).unwrap();
    let png = driver.screenshot_as_png().await.unwrap();
    std::fs::write(directory.join(format!("{name}.png")), png).unwrap();
}

/// What the browser complained about since the last call: policies, errors, warnings.
pub(crate) async fn complaints(driver: &WebDriver) -> Vec<String> {
    let entries = driver.browser_log().await.unwrap();
    entries
        .into_iter()
        .map(|entry| format!("{} {}", entry.level, entry.message))
        .collect()
}

/// Our routes at `http://127.0.0.1:<port><prefix>`, together with what else lives on that origin.
pub(crate) async fn listening(prefix: &str, beside: Router) -> (Server, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::at(&format!("{origin}{prefix}"), |_| ()).await;
    let router = if prefix.is_empty() {
        server.router.clone()
    } else {
        beside.fallback_service(server.router.clone())
    };
    tokio::spawn(async move { axum::serve(listener, router).await });
    (server, origin)
}

//! A headless Chromium for one test, and our router on a real port.

use std::{path::PathBuf, process::Stdio};

use axum::Router;
use serde_json::json;
use thirtyfour::{ChromiumLikeCapabilities, DesiredCapabilities, LoggingPrefsLogLevel, WebDriver};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
    time::{Duration, timeout},
};

use crate::support::Server;

/// A driver and its browser. The driver ends with it; the browser ends with [`Chromium::quit`].
pub(crate) struct Chromium {
    pub(crate) driver: WebDriver,
    _process: Child,
}

impl Chromium {
    /// Starts both. A missing program fails the test, with its name.
    pub(crate) async fn start() -> Self {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("`chromedriver` has to be installed for this test");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = timeout(Duration::from_secs(30), async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, port)) = line.split_once("started successfully on port ") {
                    return port.trim_end_matches('.').to_owned();
                }
            }
            panic!("chromedriver ended without naming its port");
        });
        let port = port.await.expect("chromedriver did not start within 30 s");
        let mut capabilities = DesiredCapabilities::chrome();
        for arg in [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
        ] {
            capabilities.add_arg(arg).unwrap();
        }
        capabilities
            .set_browser_log_level(LoggingPrefsLogLevel::All)
            .unwrap();
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), capabilities)
            .await
            .expect("`chromium` has to be installed for this test");
        Self {
            driver,
            _process: process,
        }
    }

    /// Runs a test in a browser of its own, and ends the browser also when the test fails.
    pub(crate) async fn run<T, F>(test: T)
    where
        T: FnOnce(WebDriver) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let chromium = Self::start().await;
        let outcome = tokio::spawn(test(chromium.driver.clone())).await;
        chromium.driver.quit().await.unwrap();
        if let Err(failure) = outcome {
            std::panic::resume_unwind(failure.into_panic());
        }
    }
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

//! The installation that the tests share, and a person in front of it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use hubkey_e2e::real::browser::Browser;
use hubkey_e2e::real::kernel::Kernel;
use hubkey_e2e::real::keycloak::Person;
use hubkey_e2e::real::sign_in::Page;
use hubkey_e2e::stack::cluster::{Cluster, Place};
use reqwest::Method;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

pub(crate) type Outcome = anyhow::Result<()>;

/// The cell of most tests.
pub(crate) const CONNECT: &str = r#"import hubkey
lab = await hubkey.connect("lab-api")"#;

/// Long enough for any cell on a busy machine.
pub(crate) const LONG: Duration = Duration::from_mins(3);

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
static TURN: Mutex<()> = Mutex::const_new(());

/// The installation, for this test alone until the guard is dropped.
pub(crate) async fn cluster() -> anyhow::Result<(&'static Cluster, MutexGuard<'static, ()>)> {
    let turn = TURN.lock().await;
    let starting = || Cluster::start("cluster", Place::OwnPod);
    Ok((CLUSTER.get_or_try_init(starting).await?, turn))
}

/// One with both servers in the hub's pod, and the turn on the machine.
pub(crate) async fn beside_the_hub() -> anyhow::Result<(Cluster, MutexGuard<'static, ()>)> {
    let turn = TURN.lock().await;
    Ok((Cluster::start("beside", Place::BesideTheHub).await?, turn))
}

/// Runs `helm test`, in which every door has to be as it should.
pub(crate) fn helm_test(cluster: &Cluster) -> Outcome {
    let text = cluster.helm(&["test", "hubkey", "--logs", "--timeout", "2m"])?;
    ensure!(text.contains("Phase:          Succeeded"), "{text}");
    ensure!(!text.contains("FAIL"), "{text}");
    Ok(())
}

/// A kernel in a pod of this person.
pub(crate) async fn kernel(cluster: &Cluster, person: &Person) -> anyhow::Result<Kernel> {
    kernel_of(cluster, person, "").await
}

/// A kernel in the pod of this server of this person.
pub(crate) async fn kernel_of(
    cluster: &Cluster,
    person: &Person,
    server: &str,
) -> anyhow::Result<Kernel> {
    let path = format!("/users/{}", person.name);
    let known = cluster.hub.api(Method::GET, &path, None).await;
    if known.is_ok_and(|user| user["servers"][server]["ready"] == true) {
        return Kernel::start(&cluster.hub, &person.name, server).await;
    }
    let started = cluster.hub.start_server(&person.name, server).await;
    started.with_context(|| {
        let log = ["logs", "deployment/hub", "--tail=30"];
        cluster.kubectl(&log).unwrap_or_default()
    })?;
    Kernel::start(&cluster.hub, &person.name, server).await
}

/// Opens a link in a new browser, and goes through the sign-in to its good end.
pub(crate) async fn open_link(
    cluster: &Cluster,
    link: &str,
    person: &Person,
) -> anyhow::Result<Vec<Page>> {
    let browser = Browser::start(&cluster.run, &person.name).await?;
    let met = browser.open_sign_in(link, person).await?;
    let last = met.last().context("no page was met")?;
    ensure!(*last == Page::Done, "refused: {}", browser.text().await?);
    Ok(met)
}

/// A connected kernel in a pod of this person.
pub(crate) async fn connected(cluster: &Cluster, person: &Person) -> anyhow::Result<Kernel> {
    let mut kernel = kernel(cluster, person).await?;
    kernel.begin(CONNECT).await?;
    let link = kernel.link().await?;
    open_link(cluster, &link, person).await?;
    kernel.finish(LONG).await?.ok()?;
    Ok(kernel)
}

//! Somebody who can write Redis brings a used record back (rule S5). Sealed, it is itself again for as long as it would
//! have lived: what it may still do, the flows decide.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use hubkey_fakes::hostile_provider::Endpoint;
use hubkey_protocol::{
    ShortId,
    secret::{State, Ticket},
};
use hubkey_store::keys::KeyRing;
use hubkey_store::{
    Action, Change, Expect, Key, Outcome, Record, Store, memory::MemoryStore, sealed::SealedStore,
};
use zeroize::Zeroizing;

use crate::support::{
    audit::AuditTrail,
    browser::{Reply, parameter},
    kernel::{Opened, TestKernel},
    outcome::{assert_refused, returning},
    world::{World, WorldOptions, internal_request, send},
};

const LIFE: Duration = Duration::from_mins(10);

/// A world whose store the attacker can write, below the seal.
struct Stage {
    world: World,
    bare: Arc<MemoryStore>,
    kernel: TestKernel,
    sign_in: Opened,
}

impl Stage {
    async fn new() -> Self {
        let below = Arc::new(OnceLock::new());
        let kept = Arc::clone(&below);
        let world = World::with(WorldOptions {
            store: Some(Box::new(move |clock, lookup_mac_key| {
                let bare = Arc::new(MemoryStore::new(Arc::clone(&clock)));
                kept.set(Arc::clone(&bare)).unwrap();
                let ring = KeyRing::from_keys(&[[9; 32]], lookup_mac_key).unwrap();
                Arc::new(SealedStore::new(bare, Arc::new(ring), clock))
            })),
            ..WorldOptions::default()
        })
        .await;
        let kernel = world.kernel("alice", "");
        let sign_in = kernel.open().await;
        let bare = Arc::clone(below.get().unwrap());
        Self {
            world,
            bare,
            kernel,
            sign_in,
        }
    }

    fn ticket(&self) -> Key {
        let short = ShortId::of(&self.sign_in.nonce).unwrap();
        Key::ticket(&short, &Ticket::new(self.sign_in.ticket()))
    }

    /// As `DUMP` gives it.
    async fn dump(&self, key: &Key) -> Record {
        let record = self.bare.read(std::slice::from_ref(key)).await.unwrap();
        record.into_iter().next().flatten().expect("it is there")
    }

    /// As `RESTORE` does it: the very bytes, for as long as the attacker likes.
    async fn restore(&self, key: &Key, record: &Record) {
        let there = self.bare.read(std::slice::from_ref(key)).await.unwrap();
        assert!(there[0].is_none(), "it was not used up");
        let put = Action::Put {
            generation: record.generation,
            value: Zeroizing::new(record.value.to_vec()),
            ttl: LIFE * 100,
            wake: false,
        };
        let change = Change {
            key: key.clone(),
            expect: Expect::Absent,
            action: put,
        };
        assert_eq!(self.bare.commit(vec![change]).await.unwrap(), Outcome::Done);
    }

    /// Somebody opens the link, as far as they get.
    async fn opened_by(&self, user: &str) -> Reply {
        let mut browser = self.world.browser(user);
        let started = browser.start(self.sign_in.ticket()).await;
        if started.kind() == "refused" {
            return started;
        }
        let back = browser.at_hub(started.location()).await;
        browser.hub_callback(&back).await
    }

    fn codes(&self) -> usize {
        self.world.provider.hits(Endpoint::Token)
    }
}

#[tokio::test]
async fn security_s5_a_ticket_that_was_brought_back_opens_nothing_to_another_browser() {
    let stage = Stage::new().await;
    let (ticket, mut browser) = (stage.ticket(), stage.world.browser("alice"));
    let used = stage.dump(&ticket).await;
    let leaving = browser.go_to_provider(&stage.sign_in).await;
    stage.restore(&ticket, &used).await;
    for user in ["alice", "mallory"] {
        assert_refused(&stage.opened_by(user).await, "invalid_link");
        assert_eq!(stage.kernel.state(&stage.sign_in).await, "pending");
        assert_eq!(stage.codes(), 0, "{user}");
    }
    // And it does the person no harm.
    let back = browser.at_provider(leaving.location()).await;
    let done = browser.come_back("lab-api", &back).await;
    assert_eq!(done.kind(), "view", "{done:?}");
    assert_eq!(stage.kernel.state(&stage.sign_in).await, "connected");
}

#[tokio::test]
async fn security_s5_a_state_that_was_brought_back_redeems_nothing_again() {
    let trail = AuditTrail::begin();
    let stage = Stage::new().await;
    let mut browser = stage.world.browser("alice");
    let back = returning(&mut browser, &stage.sign_in).await;
    let sent = parameter(&back, "state").unwrap();
    let short = ShortId::of(&stage.sign_in.nonce).unwrap();
    let key = Key::state(&short, &State::new(sent));
    let (used, cookies) = (stage.dump(&key).await, browser.cookies.clone());
    let reply = browser.come_back("lab-api", &back).await;
    assert_eq!(reply.kind(), "view", "{reply:?}");
    assert_eq!(stage.codes(), 1);
    for (user, has_the_cookie) in [
        ("mallory", false),
        ("mallory", true),
        ("alice", false),
        ("alice", true),
    ] {
        stage.restore(&key, &used).await;
        let mut thief = stage.world.browser(user);
        if has_the_cookie {
            thief.cookies = cookies.clone();
        }
        let reply = thief.callback("lab-api", &back).await;
        assert_eq!(reply.kind(), "refused", "{user}: {reply:?}");
        assert_eq!(stage.codes(), 1, "{user}: the code was sent again");
    }
    let issued = trail.events();
    let issued = issued
        .iter()
        .filter(|event| event.starts_with("token_issued"));
    assert_eq!(issued.count(), 1);
    assert_eq!(stage.kernel.state(&stage.sign_in).await, "connected");
}

#[tokio::test]
async fn security_s5_what_is_brought_back_after_its_time_is_no_record() {
    let stage = Stage::new().await;
    let (ticket, mut browser) = (stage.ticket(), stage.world.browser("alice"));
    let used = stage.dump(&ticket).await;
    let back = returning(&mut browser, &stage.sign_in).await;
    stage.world.clock.advance(LIFE + Duration::from_secs(5));
    stage.restore(&ticket, &used).await;
    let body = serde_json::json!({"ticket": stage.sign_in.ticket()});
    let request = internal_request("/internal/v1/start", &body);
    let answer = send(&stage.world.internal_api, request).await;
    assert!(
        answer.json()["answer"]["kind"] == "refused" || answer.status.is_server_error(),
        "{}",
        answer.text()
    );
    let late = browser.callback("lab-api", &back).await;
    assert_eq!(late.kind(), "refused", "{late:?}");
    assert_eq!(stage.codes(), 0);
}

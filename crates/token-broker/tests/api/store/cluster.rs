//! On a Redis Cluster.

use hubkey_fakes::hostile_provider::Account;
use hubkey_starters::redis::{USER, cluster::Cluster};
use hubkey_store::redis::{Address, RedisSettings, Topology};

use crate::support::refresh_stage::{ENDED, Stage, open};

/// Redis refuses a script whose keys lie in several slots, so that it all ends well says that no step has such keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sign_ins_and_refreshes_cross_no_slot_of_a_cluster() {
    let cluster = Cluster::start("api-cluster").await.unwrap();
    let nodes = cluster.addresses();
    let nodes = nodes.iter().map(|node| Address::parse(node).unwrap());
    let mut settings = RedisSettings::at(Topology::Cluster(nodes.collect()));
    settings.user = Some(USER.to_owned());
    settings.password = Some(cluster.password().to_owned().into());
    let stage = Stage::on(open(settings).await).await;

    let world = &stage.world;
    for number in 0..8 {
        let user = format!("user-{number}");
        world
            .provider
            .sign_in_as(Account::new(&format!("op-{user}")));
        let kernel = world.kernel(&user, "");
        let sign_in = kernel.open().await;
        let poll = kernel.start_poll(&sign_in);
        world.browser(&user).sign_in(&sign_in).await;
        // It waited, or came too early; it comes again either way.
        poll.await.unwrap();
        kernel.collect(&sign_in).await;
        assert_eq!(kernel.connections().await.len(), 1);
    }
    for node in cluster.nodes() {
        let mut admin = node.connect().await.unwrap();
        let size = redis::cmd("DBSIZE");
        let size: usize = size.query_async(&mut admin).await.unwrap();
        assert!(size > 0, "every node holds some of it");
    }

    stage.advance(ENDED);
    let fresh = stage.token(0).await;
    assert_ne!(fresh, stage.connection.access_token);
    assert_eq!(stage.token(0).await, fresh);
    assert_eq!(stage.asked(), 1);
}

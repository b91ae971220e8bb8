//! The chart on a cluster: the images, and the tests in `e2e/tests/cluster`.

use hubkey_e2e::cluster;

use super::{Bench, Outcome, rust_tests};

pub(crate) fn run(bench: &Bench) -> Outcome {
    for image in cluster::IMAGES {
        let target = image.trim_start_matches("hubkey-");
        let mut build = std::process::Command::new("docker");
        build
            .args(["buildx", "build", "--load", "--file", "docker/Dockerfile"])
            .args(["--target", target, "--tag", &format!("{image}:dev"), "."])
            .current_dir(bench.root());
        bench.check(&format!("image {target}"), build)?;
    }
    rust_tests::on_a_cluster(bench)
}

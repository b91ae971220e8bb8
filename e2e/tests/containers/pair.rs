//! Two brokers, one of which leaves in order or is killed, while a kernel reads tokens.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use hubkey_e2e::real::kernel::Kernel;
use hubkey_e2e::stack::containers::Compose;
use hubkey_starters::console::say;

use crate::support::{Connected, Outcome, alone, compose};

const SECOND: &str = "token-broker-2";

/// Asks the broker again and again: for the connection, each time over a new client, and for its token over one client.
const READ_ON: &str = r#"import asyncio, socket, time, hubkey
addresses = {found[4][0] for found in socket.getaddrinfo("token-broker", 8091)}
assert len(addresses) == 2, addresses
lab = await hubkey.connect("lab-api")
tokens, loop = lab._cache, asyncio.get_running_loop()
reading, reads, slowest, failures = True, 0, 0.0, []
async def draw():
    assert (await tokens._broker.get_token_async(loop, tokens._grant, 1, 15.0)).expose_token()
async def connect():
    assert (await hubkey.connect("lab-api")).token
async def read_on(question):
    global reads, slowest
    while reading:
        began = time.monotonic()
        try:
            await question()
        except Exception as error:
            failures.append(repr(error))
        reads, slowest = reads + 1, max(slowest, time.monotonic() - began)
        await asyncio.sleep(0.01)
readers = [asyncio.create_task(read_on(question)) for question in [draw, connect] * 4]"#;

/// What happened since the last look.
const LOOK: &str = r#"print("reads", reads, "failed", len(failures), f"slowest {slowest:.2f} s", failures[:2])
reads, slowest, failures = 0, 0.0, []"#;

const STOP: &str = r"reading = False
await asyncio.gather(*readers)";

/// Starts one service, as it was built, and waits until it is healthy.
fn bring_up(compose: &Compose, service: &str) -> Outcome {
    let how = ["up", "--detach", "--no-build", "--no-deps", "--wait"];
    compose.run(&[&how[..], &[service]].concat())?;
    Ok(())
}

/// One broker leaves and comes back, while the other serves.
async fn without(compose: &Compose, kernel: &mut Kernel, verb: &str, service: &str) -> Outcome {
    compose.run(&[verb, service])?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let text = kernel.run(LOOK).await?.ok()?;
    bring_up(compose, service)?;
    say(format!("    {verb} of {service}: {}", text.trim()));
    let reads = text.split(' ').nth(1).context("no number")?;
    ensure!(reads.parse::<u32>()? > 20, "{text}");
    ensure!(text.contains(" failed 0 "), "{verb} of {service}: {text}");
    Ok(())
}

async fn each_in_turn(compose: &Compose, kernel: &mut Kernel) -> Outcome {
    kernel.run(READ_ON).await?.ok()?;
    // Which of the two a kernel asks is for its resolver to choose.
    for verb in ["stop", "kill"] {
        for service in ["token-broker", SECOND] {
            without(compose, kernel, verb, service).await?;
        }
    }
    kernel.run(STOP).await?.ok().map(drop)
}

#[tokio::test]
async fn no_read_fails_while_one_of_two_brokers_is_drained_or_killed() -> Outcome {
    let (stack, _alone) = alone().await?;
    let compose = compose(stack)?;
    let person = Connected::new(stack).await?;
    let mut kernel = Kernel::start(&stack.hub, &person.person.name, "").await?;
    bring_up(compose, SECOND)?;
    let outcome = each_in_turn(compose, &mut kernel).await;
    compose.run(&["rm", "--stop", "--force", SECOND])?;
    bring_up(compose, "token-broker")?;
    outcome
}

//! What goes wrong, done.

use std::time::Duration;

use allotment_fleet::proxy::{Fault, Rule, Which};
use allotment_fleet::{Proxy, Server};
use anyhow::Result;
use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep};

use super::plan::{Draw, Step, Trouble, Whose};
use crate::world::World;

/// One trouble after the other until the time is over; then everything runs again.
pub(crate) async fn run(world: &World, mut draw: Draw, until: Instant) -> Result<usize> {
    let mut count = 0;
    while Instant::now() < until {
        let step = Step::draw(&mut draw, world.nodes.len(), world.controllers.len());
        sleep(step.pause).await;
        eprintln!("{:?} for {:?}", step.trouble, step.lasts);
        make(world, step).await?;
        count += 1;
    }
    Ok(count)
}

async fn make(world: &World, Step { trouble, lasts, .. }: Step) -> Result<()> {
    match trouble {
        Trouble::KillController(number) => down(&world.controllers[number].0.server, lasts).await,
        Trouble::KillAgent(number) => down(&world.nodes[number].agent.server, lasts).await,
        Trouble::KillApiServer => {
            down(world.plane.api_server(), lasts).await?;
            ready(world).await
        }
        Trouble::KillEtcd => {
            down(world.plane.etcd(), lasts).await?;
            ready(world).await
        }
        Trouble::FreezeController(number) => {
            let server = &world.controllers[number].0.server;
            server.signal(Signal::SIGSTOP)?;
            // Longer than the lease.
            sleep(lasts + Duration::from_secs(4)).await;
            server.signal(Signal::SIGCONT)
        }
        Trouble::Slow(whose, latency) => {
            proxy(world, whose).latency(latency);
            heal(world, whose, lasts).await
        }
        Trouble::Cut(whose) => {
            proxy(world, whose).cut();
            Ok(())
        }
        Trouble::Refuse(whose) => {
            proxy(world, whose).refuse();
            heal(world, whose, lasts).await
        }
        Trouble::Hold(whose, resource) => {
            proxy(world, whose).hold(Which::any().verb("watch").resource(resource));
            heal(world, whose, lasts).await
        }
        Trouble::Expire(whose) => {
            proxy(world, whose).expire(Which::any());
            Ok(())
        }
        Trouble::LoseAnswers(whose, times) => {
            for verb in ["create", "update", "patch"] {
                proxy(world, whose)
                    .inject(Rule::new(Which::any().verb(verb), Fault::LoseAnswer).times(times));
            }
            heal(world, whose, lasts).await
        }
        Trouble::Answer(whose, code, times) => {
            proxy(world, whose).inject(Rule::new(Which::any(), Fault::Answer(code)).times(times));
            heal(world, whose, lasts).await
        }
    }
}

/// Killed, and started again after a while.
async fn down(server: &Server, lasts: Duration) -> Result<()> {
    server.kill()?;
    sleep(lasts).await;
    server.start()
}

async fn ready(world: &World) -> Result<()> {
    let plane = world.plane;
    tokio::task::spawn_blocking(|| plane.wait_ready()).await?
}

async fn heal(world: &World, whose: Whose, lasts: Duration) -> Result<()> {
    sleep(lasts).await;
    proxy(world, whose).heal();
    Ok(())
}

fn proxy(world: &World, whose: Whose) -> &Proxy<'static> {
    match whose {
        Whose::Controller(number) => &world.controllers[number].1,
        Whose::Agent(number) => &world.nodes[number].proxy,
    }
}

//! The one command: `allot standalone`, and the tool for people.
//!
//! ```text
//!   args ─▶ commands ─▶ client ──socket──▶ serve ─▶ engine          what people ask, and who answers
//!               └─▶ output, tables                    ▲
//!           standalone: engine + ledger + node's socket + objects + metrics + logs
//! ```
//!
//! * [`commands`], [`client`], [`output`]: the tool; [`target`] says whom it asks.
//! * [`cluster`]: the same answers from a cluster's API server.
//! * [`acts`]: what only a person may decide about a cluster.
//! * [`standalone`]: puts one machine's daemon together; [`controller`] a cluster's, [`agent`] a
//!   node's; [`daemon`] has how all of them begin and end.
//! * [`doctor`]: what is wrong with an installation.
//! * [`objects`]: keeps what is in force in step with a folder of YAML.
//! * [`serve`]: the endpoints behind the tool.
//! * [`metrics`]: what is counted.
//! * [`reference`]: the pages of the reference that are written from here.

mod acts;
mod agent;
mod args;
mod client;
mod cluster;
mod commands;
mod controller;
mod daemon;
mod doctor;
mod failure;
mod logs;
mod metrics;
mod objects;
mod output;
mod page;
mod reference;
mod retire;
mod serve;
mod signals;
mod standalone;
mod tables;
mod target;
mod whereabouts;
mod words;

use std::path::Path;
use std::process::ExitCode;

use allotment_wire::{PoolRow, ReservationRow, SubnetRow};
use clap::Parser;
use tokio::runtime::{self, Runtime};

use crate::args::{Cli, Command, ImportOf, NodeAct};
use crate::client::Client;
use crate::failure::{Failure, Verdict};
use crate::target::{Given, Target};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let verdict = runtime(&cli.command)
        .map_err(|error| Failure::unable(format!("the program cannot start: {error}"), ""))
        .and_then(|runtime| runtime.block_on(run(cli)));
    match verdict {
        Ok(verdict) => verdict.into(),
        Err(failure) => failure.report(),
    }
}

/// The tool asks one question and needs one thread.
fn runtime(command: &Command) -> std::io::Result<Runtime> {
    match command {
        Command::Standalone(_) | Command::Controller(_) => {
            runtime::Builder::new_multi_thread().enable_all().build()
        }
        _ => runtime::Builder::new_current_thread().enable_all().build(),
    }
}

async fn run(cli: Cli) -> Result<Verdict, Failure> {
    let Cli { socket, kubeconfig, command } = cli;
    let given = Given::new(socket, kubeconfig);
    let client = || given.target(Path::exists).map(Client::new);
    // What only one machine's daemon has: its folder of objects, its socket, a ledger that others may write.
    let daemon = || Client::new(Target::Daemon(given.socket()));
    match command {
        Command::Standalone(args) => standalone::run(args, &given.socket()).await,
        Command::Controller(args) => controller::run(args, given.kubeconfig()).await,
        Command::Agent(args) => Box::pin(agent::run(args, &given.socket(), given.kubeconfig())).await,
        Command::Ready { timeout } => commands::ready(&daemon(), timeout).await,
        Command::Subnet(args) => commands::named::<SubnetRow>(&client()?, &args).await,
        Command::Pool(args) => commands::named::<PoolRow>(&client()?, &args).await,
        Command::Reservation(args) => commands::named::<ReservationRow>(&client()?, &args).await,
        Command::Ip(args) => commands::ips(&client()?, &args).await,
        Command::WhoHas { address, vrf, output } => {
            commands::who_has(&client()?, address, vrf, output.format).await
        }
        Command::Why { owner, output } => commands::why(&client()?, owner, output.format).await,
        Command::History { of, vrf, output } => commands::history(&daemon(), of, vrf, output.format).await,
        Command::Audit { output } => commands::audit(&client()?, output.format).await,
        Command::Doctor(args) => doctor::run(given.kubeconfig(), &args).await,
        Command::Check { files, output } => commands::check(&client()?, &files, output.format).await,
        Command::Reserve(args) => commands::reserve(&daemon(), args).await,
        Command::Unreserve(args) => commands::unreserve(&daemon(), args).await,
        Command::Reference { page } => reference::print(page),
        Command::InstallCni(args) => commands::install_cni(&args),
        Command::Crds => commands::crds(),
        Command::Policies { controller, agents, webhook, webhook_ca } => {
            commands::policies(&controller, &agents, webhook.as_ref(), webhook_ca.as_deref())
        }
        Command::Recover { agreed } => acts::recover(given.kubeconfig(), agreed.yes).await,
        Command::Node { act: NodeAct::Forget { name, agreed } } => {
            acts::forget(given.kubeconfig(), &name, agreed.yes).await
        }
        Command::Release { address, vrf, agreed, force: _ } => {
            acts::release(given.kubeconfig(), address, vrf, agreed.yes).await
        }
        Command::Export => commands::export(&client()?).await,
        Command::Import { of: Some(ImportOf::Whereabouts(args)), .. } => {
            Box::pin(whereabouts::import(given.kubeconfig(), args)).await
        }
        Command::Import { of: None, file, agreed } => match given.target(Path::exists)? {
            Target::Cluster(kubeconfig) => {
                Box::pin(acts::restore(kubeconfig.as_deref(), &file, agreed.yes)).await
            }
            Target::Daemon(_) | Target::Unsaid(_) => commands::import(&daemon(), &file).await,
        },
    }
}

//! Measures the worker's release binary between a real RabbitMQ and a mock endpoint.
//!
//! One module per question, each with its parameters; the other modules set up the environment. A micro-benchmark
//! harness is of no use here, because processes are measured for seconds.
//!
//! `scripts/bench` builds, starts the broker and runs this. Tables go to standard output, progress to standard error.

mod bound;
mod broker;
mod clients;
mod command;
mod drain;
mod events;
mod figures;
mod files;
mod growth;
mod https;
mod jobs;
mod lanes;
mod latency;
mod machine;
mod options;
mod plain;
mod rejected;
mod saturation;
mod scene;
mod scrape;
mod speed;
mod start;
mod sweep;
mod table;
mod usage;
mod window;
mod worker;

use std::process::ExitCode;

use clap::Parser;

use options::{Bench, Options};
use scene::Stage;

/// Errors are not distinguished here: any error ends the run with one sentence.
type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    match measure(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(options: Options) -> Fallible<()> {
    println!("{}", machine::describe(&options));
    revoker::endpoint::install_crypto_provider();
    let benches = options.benches();
    let stage = Stage::new(options);
    for bench in benches {
        let report = match bench {
            Bench::Speed => speed::measure(&stage).await?,
            Bench::Bound => bound::measure(&stage, &bound::SHORT).await?,
            Bench::Latency => latency::measure(&stage).await?,
            Bench::Growth => growth::measure(&stage).await?,
            Bench::Events => events::measure(&stage).await?,
            Bench::Rejected => rejected::measure(&stage).await?,
            Bench::Saturation => saturation::measure(&stage).await?,
            Bench::Lanes => lanes::measure(&stage).await?,
            Bench::Sweep => sweep::measure(&stage).await?,
            Bench::Long => bound::measure(&stage, &bound::LONG).await?,
            Bench::Files => files::measure(&stage).await?,
            Bench::Start => start::measure(&stage).await?,
            Bench::Clients => clients::measure(&stage).await?,
        };
        println!("{report}");
    }
    Ok(())
}

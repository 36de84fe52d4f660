//! The `tickcast` command.

use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tickcast::cli::{self, Cli, Command};
use tickcast::config::{Config, Layers};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tickcast: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Box<dyn Error>> {
    let environment = |name: &str| -> Option<OsString> { std::env::var_os(name) };
    match command {
        Command::Serve(args) => {
            let config = args.config(&environment)?;
            cli::start_logging(&config.log, config.log_format);
            cli::serve(&config)?;
        }
        Command::Demo(args) => {
            let config = args.config();
            cli::start_logging(&config.log, config.log_format);
            cli::demo(&config)?;
        }
        Command::Replay(args) => {
            let config = settings(None, &environment)?;
            cli::start_logging(&config.log, config.log_format);
            cli::replay(&args)?;
        }
        Command::Record(args) => {
            let config = settings(args.config.clone(), &environment)?;
            cli::start_logging(&config.log, config.log_format);
            cli::record(&args, &config)?;
        }
        Command::Token(args) => cli::token(&args, &settings(args.config.clone(), &environment)?)?,
        Command::Tail(args) => cli::tail(&args)?,
        Command::Load(args) => cli::load(&args)?,
    }
    Ok(())
}

/// The settings where a command has no flags for them.
fn settings(
    file: Option<PathBuf>,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Config, Box<dyn Error>> {
    Ok(Config::load(&Layers { file, environment, flags: Vec::new() })?)
}

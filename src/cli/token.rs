//! `tickcast token`: prints a token for development.

use std::io::{self, Write};

use thiserror::Error;

use super::TokenArgs;
use crate::auth::{CannotMint, Mint, mint};
use crate::clock::Clock;
use crate::config::Config;

/// Why no token was printed.
#[derive(Debug, Error)]
pub enum TokenError {
    /// It cannot be made.
    #[error(transparent)]
    Mint(#[from] CannotMint),
    /// It cannot be printed.
    #[error("the token cannot be printed: {0}")]
    Print(#[from] io::Error),
}

/// Prints a token that a server with the same settings takes.
///
/// # Errors
/// [`TokenError`] when there is no secret to sign it with, or nobody to print it for.
pub fn token(args: &TokenArgs, config: &Config) -> Result<(), TokenError> {
    let seconds = i64::try_from(args.valid.as_secs()).unwrap_or(i64::MAX);
    let what = Mint {
        scope: args.scope.join(" "),
        email: args.email.clone(),
        aud: config.auth.audience.clone(),
        iss: config.auth.issuer.clone(),
        ..Mint::new(&args.user, Clock::start().now(), seconds)
    };
    writeln!(io::stdout(), "{}", mint(&what, &config.secrets)?)?;
    Ok(())
}

//! Reads a key set again and again, so that keys can rotate while the server runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use super::Tokens;
use super::keys::{BadKeys, Keys};
use crate::config::{Config, TokenAlgorithm};
use crate::ingest::live::{Connector, Endpoint, RestLimits, get};

/// Reads the configured key set, if there is one, for the first time.
///
/// # Errors
/// [`BadKeys`] when the set is a file that cannot be used: that is a mistake in the configuration,
/// while a server that does not answer may come back.
pub async fn fetch(tokens: &Tokens, config: &Config) -> Result<(), BadKeys> {
    let Some(from) = &config.secrets.jwt_jwks else { return Ok(()) };
    match read(from, config.auth.algorithm).await {
        Ok(keys) => take(tokens, keys),
        Err(error) if !is_address(from) || matches!(error, BadKeys::Address) => return Err(error),
        Err(error) => warn!(%error, "no token can be checked until the key set is there"),
    }
    Ok(())
}

/// Keeps the keys of `tokens` fresh until `stop` says so: at the configured pace, and soon after a
/// token has named a key that is not known. What cannot be read leaves the old keys in force; a set
/// that was read and holds no key that can be used does not: so the last key is revoked.
pub async fn keep_fresh(tokens: Arc<Tokens>, config: Config, mut stop: watch::Receiver<bool>) {
    let Some(from) = config.secrets.jwt_jwks else { return };
    let (wanted, pace) = (config.auth.algorithm, config.auth.jwks_refresh);
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            // Strangers can name keys as they like: they make it read no more often than this.
            () = sleep(SOONEST.min(pace)) => {}
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokens.unknown.notified() => {}
            () = sleep(pace.saturating_sub(SOONEST)) => {}
        }
        renew(&tokens, read(&from, wanted).await);
    }
}

/// Takes over what was read anew.
pub(super) fn renew(tokens: &Tokens, read: Result<Keys, BadKeys>) {
    match read {
        Ok(keys) => take(tokens, keys),
        Err(error) if matches!(error, BadKeys::NothingUsable) => {
            warn!(%error, "no key is in force any more");
            tokens.replace(Keys::Set(Vec::new()));
        }
        Err(error) => warn!(%error, "the keys that were read last stay in force"),
    }
}

fn take(tokens: &Tokens, keys: Keys) {
    info!(keys = keys.count(), "the key set was read");
    tokens.replace(keys);
}

async fn read(from: &str, wanted: Option<TokenAlgorithm>) -> Result<Keys, BadKeys> {
    if !is_address(from) {
        return Keys::from_jwks(&std::fs::read(from).map_err(BadKeys::File)?, wanted);
    }
    let (address, query) =
        from.split_once('?').map_or((from, None), |(address, query)| (address, Some(query)));
    let endpoint = Endpoint::parse(address).map_err(|_| BadKeys::Address)?;
    let mut path = if endpoint.path("").is_empty() { "/".to_owned() } else { String::new() };
    if let Some(query) = query {
        path.push('?');
        path.push_str(query);
    }
    let answer = get(&Connector::new()?, &endpoint, &path, LIMITS).await?;
    match answer.status {
        200 => Keys::from_jwks(&answer.body, wanted),
        status => Err(BadKeys::Status { status }),
    }
}

fn is_address(from: &str) -> bool {
    from.starts_with("https://") || from.starts_with("http://")
}

/// The shortest time between two readings.
const SOONEST: Duration = Duration::from_secs(10);

const LIMITS: RestLimits =
    RestLimits { connect: Duration::from_secs(5), whole: Duration::from_secs(10), body_bytes: 1 << 20 };

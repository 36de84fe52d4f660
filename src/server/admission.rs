//! Who may connect: so many in all, so many from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

/// The number of clients there are, and the most there may be.
#[derive(Debug)]
pub struct Admission {
    most: usize,
    most_per_address: usize,
    present: Mutex<Present>,
}

#[derive(Debug, Default)]
struct Present {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Why a client was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// The process has as many as it may.
    #[error("the server has {most} clients, as many as it takes (limits.connections): come back later")]
    Full {
        /// How many.
        most: usize,
    },
    /// Its address has as many as it may.
    #[error(
        "{most} clients from one address are as many as are taken (limits.connections_per_address): close some"
    )]
    Address {
        /// How many.
        most: usize,
    },
}

/// A client's place, given back when it goes.
#[derive(Debug)]
pub struct Place {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    /// Lets `most` clients in, `most_per_address` of them from one address. Loopback has no limit of
    /// its own: a proxy, or a load test, stands there.
    pub fn new(most: usize, most_per_address: usize) -> Admission {
        Admission { most, most_per_address, present: Mutex::default() }
    }

    /// Lets a client in.
    ///
    /// # Errors
    /// [`Refused`] says which limit was reached.
    pub fn enter(self: &Arc<Admission>, address: IpAddr) -> Result<Place, Refused> {
        let address = whose(address);
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if present.all >= self.most {
            return Err(Refused::Full { most: self.most });
        }
        let own = present.by_address.entry(address).or_default();
        if *own >= self.most_per_address && !address.is_loopback() {
            return Err(Refused::Address { most: self.most_per_address });
        }
        *own += 1;
        present.all += 1;
        Ok(Place { admission: self.clone(), address })
    }

    /// How many there are.
    pub fn present(&self) -> usize {
        self.present.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

/// The address that stands for a host: who has one address of an IPv6 network of 64 bits has all of
/// them (RFC 4291, section 2.5.1), and an IPv4 address is the same in either notation.
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) if !six.is_loopback() => IpAddr::V6((six.to_bits() >> 64 << 64).into()),
        other @ (IpAddr::V4(_) | IpAddr::V6(_)) => other,
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut present = self.admission.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.all -= 1;
        if let Some(own) = present.by_address.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                present.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_one_host_and_loopback_is_loopback_in_any_notation() {
        let admission = Arc::new(Admission::new(9, 1));
        let enter = |address: &str| admission.enter(address.parse().unwrap());
        let _first = enter("2001:db8::1").unwrap();
        assert!(enter("2001:db8::ffff:2").is_err());
        let _other = enter("2001:db8:0:1::1").unwrap();
        let _mapped = enter("::ffff:192.0.2.1").unwrap();
        assert!(enter("192.0.2.1").is_err());
        let _loopback = [enter("::ffff:127.0.0.1").unwrap(), enter("127.0.0.1").unwrap()];
        let _loopback = [enter("::1").unwrap(), enter("::1").unwrap()];
    }

    #[test]
    fn places_are_limited_and_given_back() {
        let admission = Arc::new(Admission::new(3, 1));
        let (outside, loopback) = ([192, 0, 2, 1].into(), [127, 0, 0, 1].into());
        let first = admission.enter(outside);
        assert_eq!(admission.enter(outside).unwrap_err(), Refused::Address { most: 1 });
        let kept = [admission.enter(loopback), admission.enter(loopback)];
        assert_eq!(admission.enter(loopback).unwrap_err(), Refused::Full { most: 3 });
        drop(first);
        assert!(admission.enter(outside).is_ok());
        drop(kept);
        assert_eq!(admission.present(), 0);
    }
}
